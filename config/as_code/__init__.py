"""Configuration as code: what staff set up, as one YAML file that any installation can be brought in line with.

`exporting` writes it, `applying` compares and changes through the apps' services, `json_schema` describes it. Each kind
of entry is a `sections.Section`, which alone knows its fields; everything else here is the same for all of them.
"""

from config.as_code.applying import Change, Report, apply_configuration
from config.as_code.document import ConfigurationError
from config.as_code.exporting import export_configuration
from config.as_code.json_schema import json_schema

__all__ = ["Change", "ConfigurationError", "Report", "apply_configuration", "export_configuration", "json_schema"]
