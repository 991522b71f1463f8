"""Digits in the order that people who read French write them; 24 hours."""

DATE_FORMAT = SHORT_DATE_FORMAT = "d/m/Y"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "d/m/Y H:i:s"
YEAR_MONTH_FORMAT = "m/Y"
MONTH_DAY_FORMAT = "d/m"
# As browsers write it, whose scripts fill in numbers too; Django has the wide one.
THOUSAND_SEPARATOR = "\N{NARROW NO-BREAK SPACE}"
