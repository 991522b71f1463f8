"""Which subscriptions an event goes to."""

import inflection
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.matching import Interest, SubscriptionIndex, check_intent, check_topic, normalise_topic

words = st.sampled_from(["user", "users", "username", "shipment", "shipments", "event", "email", "tag", "x"])
verbs = st.sampled_from(["created", "create", "new", "update", "updated", "delete", "deleted", "paid"])
topics = st.builds(
    lambda first, inner, verb: ".".join([first, *inner, verb]), words, st.lists(words, max_size=2), verbs
)
patterns = topics | words | st.builds("{}.*".format, words | topics) | st.sampled_from(["all", "*"])


def is_matched(pattern, topic, intent=None, data=None, **interest):
    index = SubscriptionIndex([(Interest(topics=(pattern,), **interest), "it")], singular=inflection.singularize)
    return index.matching(topic, intent, data) == ["it"]


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("shipment.updated", "shipment.updated"),
        ("users.created", "user.created"),
        ("shipments.update", "shipment.updated"),
        ("shipment.new", "shipment.created"),
        ("shipment.create", "shipment.created"),
        ("users.delete", "user.deleted"),
        ("user.tag.create", "user.tag.created"),
        ("shipments", "shipment"),
        ("shipments.*", "shipment.*"),
        ("user.email.*", "user.email.*"),
        ("conversation", "conversation"),
        ("conversation.admin.replied", "conversation.admin.replied"),
        (" all ", "all"),
        ("*", "*"),
        ("ping", "ping"),
        ("events.created", "event.created"),
        ("new", "new"),
        ("contact.signed_up", "contact.signed_up"),
        ("Order-Lines.X1", "Order-Line.X1"),
    ],
)
def test_topics_have_one_spelling(text, topic):
    assert normalise_topic(text, inflection.singularize) == topic


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("*.created", r"a misplaced \*"),
        ("shipment*", r"a misplaced \*"),
        ("shipment.*.x", r"a misplaced \*"),
        ("**", r"a misplaced \*"),
        (".*", "is not valid"),
        ("shipment..updated", "is not valid"),
        (".updated", "is not valid"),
        ("shipment.", "is not valid"),
        ("shipment updated", "is not valid"),
        ("shipment.updated\nx", "is not valid"),
        ("shipmént.updated", "is not valid"),
        ("a" * 256, "256 characters; 255 is the most"),
    ],
)
def test_a_bad_pattern_is_refused_in_plain_words(text, message):
    with pytest.raises(ValueError, match=message):
        normalise_topic(text)


@given(st.text(max_size=300))
def test_any_text_is_a_pattern_or_refused_with_a_reason(text):
    try:
        assert normalise_topic(text)
    except ValueError as error:
        assert str(error).startswith("The topic ")  # noqa: PT017 - either outcome is right


@given(patterns)
def test_a_normal_spelling_stays_as_it_is(pattern):
    topic = normalise_topic(pattern, inflection.singularize)
    assert normalise_topic(topic, inflection.singularize) == topic


@pytest.mark.parametrize("text", ["shipment.*", "*", "", "a b", "a" * 256])
def test_an_event_has_no_pattern_for_a_topic(text):
    with pytest.raises(ValueError, match="The topic"):
        check_topic(text)
    assert check_topic("shipment.updated") == "shipment.updated"


@pytest.mark.parametrize("text", ["", "a\nb", "a\0", "a" * 256])
def test_a_bad_intent_is_refused(text):
    with pytest.raises(ValueError, match="The intent"):
        check_intent(text)
    assert check_intent("Ordena una pizza ☃") == "Ordena una pizza ☃"


@pytest.mark.parametrize(
    ("pattern", "topic", "is_match"),
    [
        ("shipment.updated", "shipment.updated", True),
        ("shipment.updated", "shipment.created", False),
        ("shipment.updated", "shipment.updated.twice", False),
        ("shipment.*", "shipment.updated", True),
        ("shipment.*", "shipment", False),
        ("shipment", "shipment", True),
        ("shipment", "shipment.updated", True),
        ("user", "user.created", True),
        ("user", "user.email.updated", True),
        ("user", "username.created", False),
        ("user.*", "user.email.updated", True),
        ("user.email.*", "user.email.updated", True),
        ("user.email.*", "user.created", False),
        ("user.email", "user.email.updated", False),
        ("conversation", "conversation.admin.replied", True),
        ("all", "anything.at.all", True),
        ("*", "anything", True),
        ("users.created", "user.created", True),
        ("shipments.update", "shipment.updated", True),
        ("payments.settled", "payments.settled", True),
        ("order.new", "order.new", True),
        ("user.created", "users.created", True),
        ("ping", "ping", True),
    ],
)
def test_patterns_match_whole_words(pattern, topic, is_match):
    assert is_matched(pattern, topic) is is_match


@given(topics)
def test_every_topic_matches_itself_its_bare_word_and_everything(topic):
    names = {"event_names": ("it",), "data": {"event_name": "it"}}
    assert is_matched(topic, topic, **names)
    assert is_matched(topic.split(".")[0], topic)
    assert is_matched(topic.rpartition(".")[0] + ".*", topic)
    assert is_matched("all", topic)
    assert is_matched("*", topic)


@pytest.mark.parametrize(
    ("data", "is_match"),
    [
        ({"event_name": "invited-philosopher"}, True),
        ({"event_name": "other"}, False),
        ({"event_name": None}, False),
        ({"event_name": ["invited-philosopher"]}, False),
        ({}, False),
        (None, False),
        ("invited-philosopher", False),
    ],
)
def test_event_created_matches_by_the_name_of_the_event(data, is_match):
    names = ("wrote-fear-and-trembling", "invited-philosopher")
    assert is_matched("event.created", "event.created", data=data, event_names=names) is is_match
    assert not is_matched("event.created", "event.created", data=data)
    assert is_matched("all", "event.created", data=data, event_names=names)


def test_event_names_narrow_down_no_other_topic():
    interest = Interest(topics=("event.created", "user.created"), event_names=("a",))
    index = SubscriptionIndex([(interest, 1)])
    assert index.matching("user.created", None, {"event_name": "b"}) == [1]


def test_intents_match_exactly_or_all():
    index = SubscriptionIndex(
        [
            (Interest(intents=("order_pizza",)), "pizza"),
            (Interest(intents=("*",)), "all"),
            (Interest(("all",)), "topics"),
        ]
    )
    assert index.matching(None, "order_pizza", {}) == ["pizza", "all"]
    assert index.matching(None, "order_pizzas", {}) == ["all"]
    assert index.matching(None, "*", {}) == ["all"]
    assert index.matching(None, None, {}) == []
    assert index.matching("", "", {}) == []


def test_an_event_with_topic_and_intent_reaches_each_subscriber_once_and_in_order():
    index = SubscriptionIndex(
        [
            (Interest(intents=("order_pizza",)), "by intent"),
            (Interest(("order", "orders.*", "*", "order.created"), ("order_pizza", "*")), "by all"),
            (Interest(("user",)), "not at all"),
            (Interest(("order.new",)), "by topic"),
        ],
        singular=inflection.singularize,
    )
    assert index.matching("order.created", "order_pizza", {}) == ["by intent", "by all", "by topic"]


@given(st.lists(st.lists(patterns, min_size=1, max_size=3), max_size=8), topics)
def test_the_index_finds_the_same_as_asking_each_subscription(interests, topic):
    pairs = [(Interest(tuple(each)), number) for number, each in enumerate(interests)]
    index = SubscriptionIndex(pairs, singular=inflection.singularize)
    assert index.matching(topic, None, None) == [
        number for number, each in enumerate(interests) if any(is_matched(pattern, topic) for pattern in each)
    ]


def test_subscribers_need_not_be_hashable_and_may_be_thousands():
    pairs = [(Interest((f"type{number}.created", "rare")), {"id": number}) for number in range(5_000)]
    index = SubscriptionIndex(pairs)
    assert len(index) == 5_000
    assert index.matching("type42.created", None, {}) == [{"id": 42}]
    assert len(index.matching("rare.created", None, {})) == 5_000


def test_topics_that_never_come_again_do_not_fill_the_memory():
    index = SubscriptionIndex([(Interest(("all",)), 1)])
    for number in range(5_000):
        assert index.matching(f"topic{number}.created", None, {}) == [1]
    assert len(index._spellings) <= 2048
