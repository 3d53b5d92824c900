"""MOSN's feature gates, as `start -f auto_config=true` and the environment variable FEATURE_GATES name them.

Source: MOSN pkg/featuregate (feature_gate.go, mosn_feature.go), pkg/configmanager (auto_config).
"""

from collections.abc import Mapping

from mosn_mp.config.decoding.unserved import not_in_this_version
from mosn_mp.config.problems import nearest

ENVIRONMENT = "FEATURE_GATES"
AUTO_CONFIG = "auto_config"
# MOSN's gates and what they switch, "" = served
GATES = {
    AUTO_CONFIG: "",
    "XdsMtlsEnable": "mutual TLS with an xDS server",
    "PayLoadLimitEnable": "a limit of payloads",
    "MultiTenantMode": "multi-tenant mode",
    "ConcurrencyMetricsEnable": "metrics of the concurrency",
    "AllAlpha": "switching on all gates at once",
}
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")  # Go's strconv.ParseBool


def parse_gates(text: str) -> Mapping[str, bool]:
    """Each of MOSN's gates and whether `name=true,other=false` switches it on; ValueError says what is wrong with it."""
    gates = dict.fromkeys(GATES, False)
    for part in filter(None, text.split(",")):
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in GATES:
            near = nearest(name, GATES)
            hint = f"did you mean '{near}'?" if near else f"there are {', '.join(GATES)}"
            raise ValueError(f"unknown feature gate '{name}'; {hint}")
        if value not in _TRUE + _FALSE:
            raise ValueError(f"feature gate '{name}': write {name}=true or {name}=false" + (f", not '{value}'" if equals else ""))
        gates[name] = value in _TRUE
        if gates[name] and GATES[name]:
            raise ValueError(f"feature gate '{name}': {not_in_this_version(GATES[name])}")
    return gates
