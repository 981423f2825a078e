"""What is taken out of Verilator's files."""

import pytest

from ringwalker_sim.engine.native.changes.source import Model, NotUnderstood, read_model

HEADER = """\
class Vtop___024root final {
    struct {
        VL_IN8(clk,0,0);
        VL_IN(i_next,31,0);
        VL_INW(wide_next,255,0,8);
        VL_OUT64(o,63,0);
        CData/*0:0*/ set;
    };
    VlWide<8>/*255:0*/ w;
    VlUnpacked<VlWide<3>/*95:0*/, 4> memory;
    IData/*31:0*/ a;
"""
CODE = """\
extern const VlUnpacked<CData/*0:0*/, 8> Vtop__ConstPool__TABLE_0;

void Vtop___024root___nba_sequent__TOP__0(Vtop___024root* vlSelf) {
    auto& vlSelfRef = std::ref(*vlSelf).get();
    // Locals
    CData/*6:0*/ __Vtemp_1;
    __Vtemp_1 = 0;
    // Body
    __Vtemp_1 = (IData)(vlSelfRef.i_next);
    vlSelfRef.a = __Vtemp_1;
}

void Vtop___024root___nba_sequent__TOP__1(Vtop___024root* vlSelf) {
    // Body
    vlSelfRef.o = (QData)(vlSelfRef.a);
}

void Vtop___024root___eval_nba(Vtop___024root* vlSelf) {
    // Body
    if ((1ULL & vlSelfRef.__VnbaTriggered[0U])) {
        Vtop___024root___nba_sequent__TOP__1(vlSelf);
        vlSelfRef.set = 1U;
        Vtop___024root___nba_sequent__TOP__0(vlSelf);
    }
}
"""


@pytest.fixture
def read(tmp_path):
    def read(code: str = CODE) -> Model:
        (tmp_path / "Vtop___024root.h").write_text(HEADER)
        (tmp_path / "Vtop___024root__0.cpp").write_text(code)
        (tmp_path / "Vtop___024root__0__Slow.cpp").write_text("this is not read")
        return read_model(tmp_path, "Vtop")

    return read


def test_statements_are_in_the_order_of_the_calls(read):
    written = [sorted(statement.writes) for statement in read().statements]
    assert written == [["o"], ["set"], ["own2___Vtemp_1"], ["a"]]


def test_types_are_those_of_members_ports_and_own_variables(read):
    model = read()
    assert model.types["wide_next"] == "VlWide<8>"
    assert model.types["o"] == "QData"
    assert model.types["set"] == "CData"
    assert model.types["own2___Vtemp_1"] == "CData"
    assert model.is_array("memory")
    assert model.is_wide("w")
    assert not model.is_wide("memory")
    assert model.inputs == ["clk", "i_next", "wide_next"]
    assert model.externs == ["extern const VlUnpacked<CData/*0:0*/, 8> Vtop__ConstPool__TABLE_0;"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(1ULL & vlSelfRef", "(3ULL & vlSelfRef"),
        ("    }\n}", "    }\n    vlSelfRef.a = 1U;\n}"),
        ("vlSelfRef.set = 1U;", "vlSelfRef.set = other(vlSelf);"),
        ("vlSelfRef.set = 1U;", "vlSelfRef.unheard = 1U;"),
        ("vlSelfRef.set = 1U;", "vlSelfRef.i_next = 1U;"),
        ("nba_sequent__TOP__0(vlSelf);", "nba_sequent__TOP__7(vlSelf);"),
        ("    __Vtemp_1 = 0;", "    __Vtemp_1 = 1;"),
        ("    // Body\n    vlSelfRef.o", "    vlSelfRef.o"),
        ("___eval_nba", "___eval_other"),
    ],
)
def test_anything_else_is_refused(read, old, new):
    assert old in CODE
    with pytest.raises(NotUnderstood):
        read(CODE.replace(old, new))
