"""Rails' XML (docs/contract.md#xml), element for element the sample of Spiffy Stores."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.object_types import singular
from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import PayloadError
from integrations.wire_formats.xml import element_name
from tests.integrations.messages import GOLDEN, headers_of, message, ping, response

xml = get_wire_format("xml")


def built(data, **changes):
    return xml.build(message(data, **changes)).body.decode()


def only(data):
    """The one element inside the root, as text."""
    return built(data, object_type="order").split("\n")[2].strip()


def tree(data, **changes):
    return ET.fromstring(built(data, **changes))


def test_the_order_of_the_seed_is_reproduced_element_for_element():
    order = (GOLDEN / "spiffy_order.json").read_text()
    ours = list(ET.fromstring(xml.build(message(data_json=order, object_type="order")).body).iter())
    seeds = list(ET.fromstring((GOLDEN / "spiffy_order.xml").read_text()).iter())
    assert len(ours) == len(seeds) == 70
    untyped = []
    for our, their in zip_longest(ours, seeds):
        assert our.tag == their.tag
        assert (our.text or "").strip() == (their.text or "").strip()
        if our.attrib != their.attrib:
            # The sample has four ids without a value; JSON's null does not know that it is an integer.
            assert (our.attrib, their.attrib) == ({"nil": "true"}, {"type": "integer"})
            untyped.append(our.tag)
    assert untyped == ["id"] * 4


def test_the_document_is_indented_as_rails_does_it():
    assert built({"order_id": "R1", "line_items": [{"sku": "A", "quantity": 2}]}, object_type="order") == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<order>\n"
        "  <order-id>R1</order-id>\n"
        '  <line-items type="array">\n'
        "    <line-item>\n"
        "      <sku>A</sku>\n"
        '      <quantity type="integer">2</quantity>\n'
        "    </line-item>\n"
        "  </line-items>\n"
        "</order>\n"
    )


@pytest.mark.parametrize(
    ("data", "element"),
    [
        ({"a": True}, '<a type="boolean">true</a>'),
        ({"a": False}, '<a type="boolean">false</a>'),
        ({"a": 12}, '<a type="integer">12</a>'),
        ({"a": -12345678901234567890}, '<a type="integer">-12345678901234567890</a>'),
        ({"total_price": 100.0}, '<total-price type="decimal">100.0</total-price>'),
        ({"a": 81.82}, '<a type="decimal">81.82</a>'),
        ({"a": 1e22}, '<a type="decimal">10000000000000000000000.0</a>'),
        ({"a": 1e-7}, '<a type="decimal">0.0000001</a>'),
        ({"weight": 0.1}, '<weight type="float">0.1</weight>'),
        ({"total_weight": 0.2}, '<total-weight type="float">0.2</total-weight>'),
        ({"weightless": 0.2}, '<weightless type="decimal">0.2</weightless>'),
        ({"weight": 2}, '<weight type="integer">2</weight>'),
        ({"note": ""}, "<note></note>"),
        ({"note": "  x "}, "<note>  x </note>"),
        ({"cart_token": None}, '<cart-token nil="true"/>'),
        ({"closed_at": None}, '<closed-at type="datetime" nil="true"/>'),
        ({"a": "2010-06-18T00:00:00+10:00"}, '<a type="datetime">2010-06-18T00:00:00+10:00</a>'),
        ({"a": "2014-02-03T17:33:55.343Z"}, '<a type="datetime">2014-02-03T17:33:55.343Z</a>'),
        ({"a": "2010-06-18"}, "<a>2010-06-18</a>"),
        ({"a": "2010-13-18T00:00:00Z"}, "<a>2010-13-18T00:00:00Z</a>"),
        ({"a": "at 2010-06-18T00:00:00Z"}, "<a>at 2010-06-18T00:00:00Z</a>"),
        ({"a": []}, '<a type="array"></a>'),
        ({"a": {}}, "<a></a>"),
        ({"a": "<b> & ]]> \r\n"}, "<a>&lt;b&gt; &amp; ]]&gt; &#13;"),
        ({"12 a": "x"}, "<_12-a>x</_12-a>"),
        ({"": "x"}, "<_>x</_>"),
        ({"a:b": "x"}, "<a-b>x</a-b>"),
        ({"größe": "ü"}, "<größe>ü</größe>"),
    ],
)
def test_values_are_typed_as_rails_types_them(data, element):
    assert only(data) == element


def test_decimals_keep_every_digit():
    assert (
        '<a type="decimal">12345678901234567.89</a>'
        in xml.build(message(data_json='{"a":12345678901234567.89}')).body.decode()
    )
    assert '<a type="decimal">5.0</a>' in xml.build(message(data_json='{"a":5.00}')).body.decode()


@pytest.mark.parametrize("number", ["1e-999999999", "0e-999999999", "1e-400"])
def test_a_monstrous_exponent_stays_small(number):
    assert len(xml.build(message(data_json=f'{{"a":{number}}}')).body) < 1000


def test_a_number_past_all_bounds_is_a_visible_failure():
    with pytest.raises(PayloadError, match=r"shipment\.a is not finite"):
        xml.build(message(data_json='{"a":1e999}'))


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("line_items", "line_item"),
        ("line-items", "line-item"),
        ("LineItems", "LineItem"),
        ("News", "News"),
        ("People", "Person"),
        ("Feet", "Foot"),
        ("waves", "wave"),
        ("addresses", "address"),
        ("billing_address", "billing_address"),
        ("sms", "sms"),
        ("order_data", "order_data"),
        ("boxes", "box"),
        ("taxes", "tax"),
    ],
)
def test_arrays_wrap_the_singular_that_object_types_have(plural, one):
    [array] = tree({plural: [1]})
    assert [item.tag for item in array] == [element_name(one)] == [element_name(singular(plural))]


def test_arrays_of_values_are_typed_one_by_one():
    items = tree({"tags": ["a", 1, None, [True]]})[0]
    assert items.attrib == {"type": "array"}
    assert [item.tag for item in items] == ["tag"] * 4
    assert [item.attrib for item in items] == [{}, {"type": "integer"}, {"nil": "true"}, {"type": "array"}]


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_cannot_carry_are_a_visible_failure(character):
    with pytest.raises(PayloadError, match=r"line_items\[0\]\.name") as raised:
        built({"line_items": [{"name": f"a{character}"}]})
    assert raised.value.kind == "payload"


json_text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | json_text,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(json_text, children, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(json_text, json_values, max_size=4), json_text)
def test_any_object_becomes_well_formed_xml_of_the_same_shape(data, root):
    parsed = tree(data, object_type=root)
    assert parsed.tag == element_name(root)
    assert [child.tag for child in parsed] == [element_name(key) for key in data]
    for child, value in zip(parsed, data.values(), strict=True):
        if isinstance(value, str):
            assert (child.text or "") == value


def test_deep_nesting_is_no_trouble():
    data = {"a": 1}
    for _ in range(100):
        data = {"a": data}
    assert len(list(tree(data).iter())) == 102


def test_headers_carry_the_store_and_the_additional_data():
    headers = headers_of(xml.build(message(endpoint={"store_id": "st_1", "additional_data": "7e7d30d6"})))
    assert headers["Content-Type"] == "application/xml"
    assert headers["X-Spiffy-Stores-Id"] == "st_1"
    assert headers["X-Spiffy-Stores-Data"] == "7e7d30d6"
    assert "X-Spiffy-Stores-Data" not in headers_of(xml.build(message()))


@pytest.mark.parametrize("bad", ["a\r\nb", "€"])
def test_additional_data_that_no_header_can_carry_is_a_visible_failure(bad):
    with pytest.raises(PayloadError, match="additional data"):
        xml.build(message(endpoint={"additional_data": bad}))


@pytest.mark.parametrize("status", [200, 204, 299, 301, 302, 304, 399])
def test_200_to_399_is_success(status):
    assert xml.read(message(), response(status)).is_success


@pytest.mark.parametrize("status", [199, 400, 410, 422, 500])
def test_everything_else_is_tried_again(status):
    outcome = xml.read(message(), response(status, b"Error"))
    assert not outcome.is_success
    assert not outcome.is_permanent
    assert outcome.summary == "Error"


def test_the_transforms_result_keeps_the_root():
    assert tree({}, transformed_json=json.dumps({"a": 1}), object_type="order").tag == "order"


def test_a_ping_has_the_root_ping():
    assert ET.fromstring(xml.build(ping()).body).find("message").text == "hello"


def test_defaults():
    assert (xml.default_retry_policy, xml.default_permanent_statuses) == ("patient", set())
