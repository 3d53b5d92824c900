"""The one place that names the version of mosn_mp."""

VERSION = "0.1.0"
