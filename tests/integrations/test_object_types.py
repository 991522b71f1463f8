"""What the types of pushed objects are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.object_types import KEY_PATTERN, plural, singular


def words(text):
    return text.split()


PAIRS = dict(
    pair.split(":")
    for pair in words("""
    shipments:shipment orders:order customers:customer products:product users:user contacts:contact leads:lead
    conversations:conversation events:event invoices:invoice payments:payment refunds:refund returns:return
    inventories:inventory companies:company categories:category currencies:currency deliveries:delivery
    countries:country cities:city replies:reply queries:query histories:history activities:activity parties:party
    boxes:box taxes:tax batches:batch branches:branch dishes:dish wishes:wish patches:patch caches:cache
    addresses:address statuses:status buses:bus aliases:alias processes:process classes:class accesses:access
    businesses:business bonuses:bonus campuses:campus viruses:virus canvases:canvas gases:gas lenses:lens
    analyses:analysis crises:crisis theses:thesis diagnoses:diagnosis axes:axis criteria:criterion
    people:person men:man women:woman children:child feet:foot teeth:tooth mice:mouse
    purchases:purchase warehouses:warehouse databases:database expenses:expense licenses:license responses:response
    courses:course prices:price devices:device services:service messages:message images:image packages:package
    indices:index matrices:matrix heroes:hero potatoes:potato photos:photo videos:video shoes:shoe
    shelves:shelf knives:knife lives:life leaves:leaf waves:wave curves:curve drives:drive archives:archive
    objectives:objective moves:move sleeves:sleeve cookies:cookie movies:movie ties:tie calories:calorie
    quizzes:quiz skus:sku menus:menu cpus:cpu taxis:taxi ids:id ads:ad tags:tag settings:setting keys:key days:day
    quotas:quota schemas:schema pizzas:pizza areas:area visas:visa agendas:agenda
    line_items:line_item order-lines:order-line user_statuses:user_status shipping_addresses:shipping_address
    gift_boxes:gift_box sales_people:sales_person news_items:news_item sms_messages:sms_message v2_orders:v2_order
    """)
)
THE_SAME_IN_BOTH = words("""
    sms mms news data metadata media series species sheep fish equipment information money rice software feedback
    staff goods logistics analytics sales_news store_data sales-news bulk_sms price_series
""")
SINGULARS_THAT_LOOK_LIKE_PLURALS = words("""
    status address bus alias process class gas lens analysis basis crisis bonus campus virus canvas business access
    gps order_status shipping_address quota beta delta pizza schema criterion us os shipment line_item
""")


@pytest.mark.parametrize(("many", "one"), PAIRS.items())
def test_a_plural_becomes_its_singular_and_back(many, one):
    assert singular(many) == one
    assert plural(one) == many


@pytest.mark.parametrize("word", THE_SAME_IN_BOTH)
def test_words_that_are_the_same_in_both_are_never_cut(word):
    assert singular(word) == plural(word) == word


@pytest.mark.parametrize("word", sorted({*SINGULARS_THAT_LOOK_LIKE_PLURALS, *PAIRS.values()}))
def test_a_singular_stays_what_it_is(word):
    assert singular(word) == word


def test_a_stores_own_words_come_first():
    overrides = {"sms": "text_message", "boxen": "box"}
    assert singular("sms", overrides) == "text_message"
    assert singular("boxen", overrides) == "box"
    assert singular("orders", overrides) == "order"


@given(st.from_regex(KEY_PATTERN, fullmatch=True))
def test_every_key_has_a_singular_that_is_a_key(key):
    assert KEY_PATTERN.match(singular(key))
    assert KEY_PATTERN.match(plural(key))


@pytest.mark.parametrize("key", ["a", "s", "is", "order_", "order-", "a--", "orders_2", ""])
def test_odd_keys_stay_what_they_are(key):
    assert singular(key) == key


@pytest.mark.parametrize("key", ["", "Orders", "1orders", "_orders", "orders.x", "ordérs", "or ders", "orders\n"])
def test_what_is_no_key_does_not_match_the_pattern(key):
    assert not KEY_PATTERN.fullmatch(key)
