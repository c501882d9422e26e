import pytest

pytest.importorskip("configargparse")
from anode.frontends.ngraph.frontends.neon import NgraphArgparser
from anode.frontends.ngraph.frontends.neon3 import NeonArgparser


def parsed(*arguments, **overrides):
    return NgraphArgparser(default_config_files=[], default_overrides=overrides).parse_args(
        list(arguments)
    )


def test_defaults():
    args = parsed()
    assert (args.batch_size, args.num_iterations, args.iter_interval) == (128, 2000, 200)
    assert (args.backend, args.rng_seed, args.output_file) == ("cpu", None, "output.hdf5")
    assert (args.epochs, args.verbose, args.progress_bar) == (10, 1, True)
    assert args.data_dir.endswith("nervana/data") and args.logfile is args.save_path is None


def test_flags():
    args = parsed(
        *[
            "-z",
            "32",
            "-t",
            "5",
            "-r",
            "7",
            "-w",
            "d",
            "-o",
            "f",
            "-s",
            "p",
            "-e",
            "3",
            "-eval",
            "2",
            "-l",
            "--no_progress_bar",
            "-vv",
        ]
    )
    assert (args.batch_size, args.num_iterations, args.rng_seed) == (32, 5, 7)
    assert (args.data_dir, args.output_file, args.save_path) == ("d", "f", "p")
    assert (args.epochs, args.eval_freq, args.verbose, args.progress_bar) == (3, 2, 3, False)
    assert args.logfile.endswith("neon_log.txt")


def test_overrides_and_a_file(tmp_path):
    assert parsed(epochs=4).epochs == 4
    file = tmp_path / "neon.cfg"
    file.write_text("batch_size = 9\n")
    assert parsed("-c", str(file)).batch_size == 9


def test_an_unknown_backend(capsys):
    with pytest.raises(SystemExit):
        parsed("-b", "abacus")
    assert "invalid choice: 'abacus'" in capsys.readouterr().err


def test_neon_3_prints_its_arguments(capsys):
    args = NeonArgparser(default_config_files=[]).parse_args(["-z", "8"])
    lines = capsys.readouterr().out.splitlines()
    assert args.backend == "ngcpu" and lines[0] == "Neon CommandLine Options"
    assert "    batch_size : 8" in lines
