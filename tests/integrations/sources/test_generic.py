"""The kind whose proof is put together from fields, and how bodies of all kinds are unpacked."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace

import pytest

from integrations.sources import SOURCE_KINDS
from integrations.sources.base import Rejected, Unreadable
from integrations.sources.bodies import decompressed, form_fields, topic_of
from tests.integrations.sources.incoming import FORM, JSON, URL, at, posted


class TestGeneric:
    KIND = SOURCE_KINDS["generic"]

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"proof": "hmac", "algorithm": "sha1", "header": "X-Sig", "prefix": "sha1="},
            {"proof": "hmac", "algorithm": "sha512", "encoding": "base64"},
            {"proof": "hmac", "timestamp_header": "X-Time"},
            {"proof": "hmac", "timestamp_header": "X-Time", "signed": "v0:{timestamp}:{body}", "prefix": "v0="},
            {"proof": "hmac", "signed": "{url}{body}", "encoding": "base64"},
            {"proof": "token", "header": "X-Api-Key"},
            {"proof": "token", "header": "Authorization", "prefix": "Key "},
            {"proof": "bearer"},
            {"proof": "basic"},
            {"proof": "mtls", "header": "X-Fingerprint"},
        ],
        ids=str,
    )
    def test_each_proof_takes_its_own_and_refuses_others(self, options):
        now, secret = at(1716491453), "user:secret"
        request = self.KIND.sample(secret, URL, options, now, "k1")
        self.KIND.verify(request, [secret], now)
        with pytest.raises(Rejected):
            self.KIND.verify(request, ["user:another"], now)
        with pytest.raises(Rejected):
            self.KIND.verify(replace(request, headers=JSON), [secret], now)

    def test_a_fingerprint_counts_only_from_a_proxy(self):
        options = {"proof": "mtls"}
        request = replace(self.KIND.sample("aa:bb", URL, options, at(0), "k"), is_from_proxy=False)
        with pytest.raises(Rejected, match="TRUSTED_PROXIES"):
            self.KIND.verify(request, ["aa:bb"], at(0))

    def test_without_a_proof_everything_passes(self):
        self.KIND.verify(posted({}, options={"proof": "none"}), [], at(0))

    @pytest.mark.parametrize(
        ("body", "headers", "data"),
        [
            (b'{"a":1}', JSON, {"a": 1}),
            (b"[1]", JSON, {"value": [1]}),
            (b"a=1&b[c]=2", FORM, {"a": "1", "b": {"c": "2"}}),
            (b"<order><id type='integer'>7</id></order>", {"content-type": "text/xml"}, {"id": 7}),
            (b"", JSON, {}),
        ],
    )
    def test_json_forms_and_xml_are_read(self, body, headers, data):
        assert self.KIND.read(posted(body, headers)).items[0].data == data


class TestBodies:
    def test_gzip_and_both_kinds_of_deflate_are_taken(self):
        raw = zlib.compressobj(wbits=-15)
        for encoding, packed in [
            ("gzip", gzip.compress(b"hello")),
            ("deflate", zlib.compress(b"hello")),
            ("deflate", raw.compress(b"hello") + raw.flush()),
            ("identity", b"hello"),
        ]:
            assert decompressed(packed, encoding, 5) == b"hello"

    @pytest.mark.parametrize(
        ("raw", "encoding", "status"),
        [
            (gzip.compress(b"0" * 2_000_000), "gzip", 413),
            (zlib.compress(b"0" * 2_000_000), "deflate", 413),
            (gzip.compress(gzip.compress(b"x")), "gzip, gzip", 415),
            (b"x", "br", 415),
            (b"x", "zstd", 415),
            (b"not gzip", "gzip", 400),
            (gzip.compress(b"hello")[:-4], "gzip", 400),
            (gzip.compress(b"hello") + b"more", "gzip", 400),
        ],
        ids=range(8),
    )
    def test_bombs_other_encodings_and_broken_ones_are_refused(self, raw, encoding, status):
        with pytest.raises(Unreadable) as raised:
            decompressed(raw, encoding, 1_000_000)
        assert raised.value.status == status

    def test_names_that_repeat_become_a_list_and_odd_brackets_stay(self):
        assert form_fields(b"a=1&a=2&a=3&b[=4&[c]=5&d[e]=6&d=7") == {
            "a": ["1", "2", "3"],
            "b[": "4",
            "": {"c": "5"},
            "d": {"e": "6"},
        }

    @pytest.mark.parametrize(
        ("words", "topic"),
        [(("orders/create",), "orders.create"), (("a b", None, "c"), "a_b.c"), (("..",), None), (("",), None),
         (("é",), "_")],
    )  # fmt: skip
    def test_vendors_words_become_topics(self, words, topic):
        assert topic_of(*words) == topic
