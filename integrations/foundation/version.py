"""The version of Hookdesk, in its one place. Imports nothing: the settings and the package's build read it."""

VERSION = "0.1.0"
