"""A function for filters, transforms, conditions and mappings."""

from config.extension.v1 import signature

HOOKDESK_INTERFACE = 1


@signature({"types": ["string"]})
def initials(text: str) -> str:
    """initials(text): the first letter of each word, as capitals."""
    return "".join(word[0] for word in text.split()).upper()
