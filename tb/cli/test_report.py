"""Progress where there is no terminal."""

from ringwalker_sim.cli import report as cli_report


def test_without_a_terminal_long_work_says_how_far_it_is(capsys, monkeypatch):
    # One for the beginning, one for each text, and another for each that is printed.
    times = iter([0, 0.1, 9.9, 10.0, 10.0, 19.9, 25.0, 25.0])
    monkeypatch.setattr(cli_report.time, "monotonic", lambda: next(times))
    with cli_report.status_line("starting") as status:
        for text in ("soon", "1 of 3", "2 of 3", "3 of 3", "last"):
            status(text)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "ringwalker: 2 of 3\nringwalker: last\n"
