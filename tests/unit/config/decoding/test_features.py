import pytest

from mosn_mp.config.decoding.features import GATES, parse_gates


@pytest.mark.parametrize(("text", "is_on"), [
    ("", False), ("auto_config=true", True), (" auto_config = 1 ,", True), ("auto_config=F", False),
    ("auto_config=true,auto_config=false", False), ("XdsMtlsEnable=false,auto_config=T", True),
])  # fmt: skip
def test_gates_are_read_as_go_reads_them(text: str, is_on: bool) -> None:
    assert parse_gates(text) == {**dict.fromkeys(GATES, False), "auto_config": is_on}


@pytest.mark.parametrize(("text", "problem"), [
    ("auto_confg=true", "unknown feature gate 'auto_confg'; did you mean 'auto_config'?"),
    ("whatever=true", "unknown feature gate 'whatever'; there are auto_config, XdsMtlsEnable, "),
    ("auto_config", "feature gate 'auto_config': write auto_config=true or auto_config=false"),
    ("auto_config=yes", "auto_config=false, not 'yes'"),
    ("PayLoadLimitEnable=true", "feature gate 'PayLoadLimitEnable': a limit of payloads is not in this version of mosn_mp"),
])  # fmt: skip
def test_a_gate_that_is_not_there_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_gates(text)
    assert problem in str(caught.value)
