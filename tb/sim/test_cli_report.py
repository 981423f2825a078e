"""Progress where there is no terminal."""

from ringwalker_sim import cli_report


def test_without_a_terminal_long_work_says_how_far_it_is(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(cli_report.time, "monotonic", lambda: now)
    with cli_report.status_line("starting") as status:
        for now, text in ((0.1, "soon"), (9.9, "1 of 3"), (10.0, "2 of 3"), (19.9, "3 of 3"), (25.0, "last")):
            status(text)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "ringwalker: 2 of 3\nringwalker: last\n"
