"""NeonArgparser: neon's options, their defaults, and where else they may be given."""

import logging
import sys

import numpy as np
import pytest

pytest.importorskip("configargparse")

from anode.frontends.neon import NervanaObject, logger
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.util.argparser import NeonArgparser, extract_valid_args


@pytest.fixture
def parse(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = NervanaObject.be, logger.handlers, logger.level, logger.propagate

    def parsed(*arguments, options=(), gen_be=True, **kwargs):
        monkeypatch.setattr(sys, "argv", ["script.py", *arguments])
        parser = NeonArgparser("What the script does.", **kwargs)
        for name, default in options:
            parser.add_argument(name, default=default)
        return parser.parse_args(gen_be=gen_be)

    yield parsed
    NervanaObject.be, logger.handlers, logger.level, logger.propagate = before


def test_defaults(parse, tmp_path):
    args = vars(parse())
    wanted = {
        "backend": "cpu", "batch_size": 128, "epochs": 10, "rng_seed": None, "rounding": False,
        "datatype": np.float32, "save_path": None, "serialize": 0, "model_file": None,
        "logfile": None, "output_file": None, "eval_freq": None, "history": 1, "log_token": "",
        "manifest": None, "manifest_root": None, "verbose": 1, "no_progress_bar": False,
        "progress_bar": True, "compat_mode": None, "log_thresh": 30, "profile": False,
        "profile_iterations": 50, "profile_iter_skip": 5, "profile_inference": False,
        "profiling_method": "time", "device_id": 0, "caffe": False, "deterministic": False,
        "data_dir": str(tmp_path / "nervana" / "data"), "stochastic_round": False,
    }  # fmt: skip
    assert {name: args[name] for name in wanted} == wanted
    assert args["callback_args"] == {
        "output_file": None, "eval_freq": None, "progress_bar": True, "save_path": None,
        "serialize": 0, "history": 1, "model_file": None, "log_token": "",
    }  # fmt: skip
    assert NervanaObject.be.bsz == 128


def test_every_flag(parse, tmp_path):
    (tmp_path / "model.prm").touch()
    args = parse(
        "-b", "mkl", "-z", "64", "-e", "3", "-s", "saved/model.prm", "--serialize", "2",
        "--model_file", "model.prm", "-r", "7", "-H", "4", "-eval", "2", "-u", "8", "-d", "f64",
        "-w", "~/there", "-o", "out.h5", "-l", "log.txt", "-v", "-v", "--caffe", "-i", "1", "-m",
        "2", "--manifest", "train:a/b.tsv", "--manifest", "val:c.tsv", "--manifest_root", "root",
        "--no_progress_bar", "--extra", "more", options=[("--extra", "none")],
    )  # fmt: skip
    assert (args.epochs, args.batch_size, args.history, args.eval_freq) == (3, 64, 4, 2)
    assert (args.rounding, args.stochastic_round, args.datatype) == (8, 8, np.float64)
    assert args.manifest == {"train": "a/b.tsv", "val": "c.tsv"}
    assert args.data_dir == str(tmp_path / "there") and args.extra == "more"
    assert args.log_thresh == 10 and args.compat_mode == "caffe" and not args.progress_bar
    assert (tmp_path / "saved").is_dir()
    be = NervanaObject.be
    assert (be.bsz, be.rng_seed, be.default_dtype, be.stochastic_round) == (64, 7, np.float64, 8)
    assert be.compat_mode == "caffe" and args.callback_args["serialize"] == 2
    assert "Command Line" in (tmp_path / "log.txt").read_text()


def test_saving_without_a_schedule_or_a_path(parse, caplog):
    args = parse("-s", "model.prm", gen_be=False)
    assert args.serialize == 1 and args.callback_args["serialize"] == 1
    args = parse("--serialize", gen_be=False)
    assert (args.save_path, args.serialize) == ("neon_model.pkl", 1)
    with pytest.raises(OSError, match=r"absent.prm is not there"):
        parse("--model_file", "absent.prm")


def test_files_of_options_come_after_the_command_line(parse, tmp_path):
    folder = tmp_path / "nervana"
    folder.mkdir()
    (folder / "neon.cfg").write_text("epochs = 5\nbatch_size = 32\nno_progress_bar = true\n")
    args = parse("-z", "16", gen_be=False)
    assert (args.epochs, args.batch_size, args.progress_bar) == (5, 16, False)
    (tmp_path / "own.cfg").write_text(
        "manifest = [train:/a.tsv, val:/b.tsv]\nmanifest_root = /root\nepochs = 90\n"
        "rng_seed = 0\nverbose = True\neval_freq = 1\nlog = train.log\n"
    )
    args = parse(gen_be=False, default_config_files=[str(tmp_path / "own.cfg")])
    assert (args.epochs, args.rng_seed, args.eval_freq) == (90, 0, 1)
    assert args.manifest == {"train": "/a.tsv", "val": "/b.tsv"}
    assert parse("-c", "own.cfg", gen_be=False).epochs == 90


def test_overridden_defaults(parse):
    args = parse(gen_be=False, default_overrides={"batch_size": 32, "epochs": 2, "serialize": 1})
    assert (args.batch_size, args.epochs, args.save_path) == (32, 2, "neon_model.pkl")
    assert parse("-e", "4", gen_be=False, default_overrides={"epochs": 2}).epochs == 4


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["-b", "gpu"], "use -b cpu"),
        (["-b", "tpu"], "invalid choice"),
        (["-d", "f8"], "invalid choice"),
        (["--manifest", "train.tsv"], "is not name:path"),
        (["--unknown"], "--unknown"),
    ],
)
def test_what_cannot_be_is_an_error(parse, capsys, arguments, said):
    with pytest.raises(SystemExit):
        parse(*arguments)
    assert said in capsys.readouterr().err


def test_help_and_version(parse, capsys):
    for flag, said in (("--help", "What the script does."), ("--version", "2.6.0")):
        with pytest.raises(SystemExit):
            parse(flag)
        assert said in capsys.readouterr().out


def test_arguments_of_a_function(parse):
    args = parse("-r", "3", "-b", "cpu", gen_be=False)
    found = extract_valid_args(args, gen_backend)
    assert found["rng_seed"] == 3 and found["stochastic_round"] is False
    assert "epochs" not in found and gen_backend(**found).bsz == 128


def test_display(parse, capsys):
    parse(gen_be=False)
    logger.display("Misclassification error = %.1f%%", 2.5)
    said = capsys.readouterr().err
    assert said.rstrip().endswith("- neon - DISPLAY - Misclassification error = 2.5%")
    assert logger.level == logging.WARNING
