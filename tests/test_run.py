"""`anode run`: scripts and notebooks as Python and Jupyter run them."""

import json
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from anode.cli import main
from anode.commands.notebook import Notebook, translated
from anode.commands.run import parse
from anode.errors import AnodeError, DataError

PLAIN = {key: value for key, value in os.environ.items() if key != "ANODE_TRACEBACK"}


@pytest.fixture
def anode(tmp_path):
    """Write files into a folder, and run one of them there; gives what subprocess gives."""

    def run(script, *arguments, options=(), environment=None, **files):
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(dedent(text))
        command = [sys.executable, "-P", "-m", "anode.cli", "run", *options, script, *arguments]
        env = {**PLAIN, **(environment or {})}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)

    return run


def notebook(*cells, **tags):
    made = [
        {"cell_type": "code", "source": cell.splitlines(True), "metadata": {}} for cell in cells
    ]
    for index, names in tags.items():
        made[int(index[1:])]["metadata"]["tags"] = names
    text = {"cell_type": "markdown", "source": ["# not code"]}
    return json.dumps({"cells": [text, *made], "nbformat": 4})


def test_a_script_of_three_lines(anode):
    script = """
        import tensorflow as tf
        x = tf.constant(3.0)
        print(tf.Session().run(x * 2), tf.__version__)
    """
    done = anode("a.py", a__py=script)
    assert (done.stdout, done.returncode) == ("6.0 1.15.0\n", 0), done.stderr


def test_the_script_sees_what_python_gives(anode, tmp_path):
    script = """
        import os, sys
        import beside
        print(__name__, os.path.basename(__file__), sys.argv, beside.x)
        print(sys.path[0] == os.getcwd(), sys.modules["__main__"].__dict__ is globals())
    """
    done = anode("a.py", "--flag", "x y", "--report", a__py=script, beside__py="x = 7")
    first = f"__main__ a.py {['a.py', '--flag', 'x y', '--report']} 7"
    assert done.stdout.splitlines() == [first, "True True"], done.stderr


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('bye')", 1, "bye\n"),
        ("raise SystemExit", 0, ""),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt\n"),
    ],
)
def test_exit_codes(anode, text, code, error):
    done = anode("a.py", a__py=text)
    assert done.returncode == code and done.stderr.endswith(error)


def test_tracebacks_are_the_users(anode):
    script = """
        import tensorflow as tf
        def build():
            return tf.matmul(tf.zeros([2, 3]), tf.zeros([2, 3]))
        build()
    """
    done = anode("a.py", a__py=script)
    assert done.returncode == 1
    assert "line 4, in build" in done.stderr and "tf.matmul(tf.zeros" in done.stderr
    assert "anode/frontends" not in done.stderr
    full = anode("a.py", environment={"ANODE_TRACEBACK": "full"}, a__py=script)
    assert "anode/frontends" in full.stderr


def test_python_2_is_said_to_be_so(anode):
    done = anode("a.py", a__py="x = 1\nprint x\n")
    assert done.returncode == 1
    assert 'a.py", line 2' in done.stderr and "this is Python 2" in done.stderr


def test_a_module_beside_the_script_does_not_hide_pythons(anode):
    script = """
        import collections, enum, tensorflow as tf, test
        import types
        print(types.SimpleNamespace.__name__, test.mine)
    """
    files = {"types__py": "1 / 0", "test__py": "mine = 1", "random__py": "1 / 0"}
    done = anode("a.py", a__py=script, **files)
    assert done.stdout == "SimpleNamespace 1\n", done.stderr


def test_fetched_numbers_print_as_numbers(anode):
    script = """
        import tensorflow as tf
        print(tf.Session().run([tf.constant(2.5), tf.constant([1.5])]))
    """
    done = anode("a.py", a__py=script)
    assert done.stdout == "[2.5, array([1.5], dtype=float32)]\n"


def test_names_that_numpy_has_dropped(anode):
    script = """
        import numpy as np
        print(np.zeros(2, np.float).dtype, np.arange(2, dtype=np.int).dtype, np.bool(1), np.infty)
        print(np.float is float, np.array("a", np.object).dtype, np.asscalar(np.ones(1)))
        print(np.product([2, 3]), np.in1d([1, 4], [4]), np.float_ is np.float64)
        print(np.arange(2, dtype=np.uint8).tostring(), np.uint8(3).tostring())
        x = np.zeros([2, 3])
        print(np.reshape(x, newshape=[6]).shape, np.reshape(x, (3, -1)).shape)
        print(np.fromstring(b"ab", np.uint8), np.fromstring("1 2", sep=" "))
        np.nonsense
    """
    done = anode("a.py", a__py=script)
    printed = ["float64 int64 True inf", "True object 1.0", "6 [False  True] True"]
    printed += ["b'\\x00\\x01' b'\\x03'", "(6,) (3, 2)", "[97 98] [1. 2.]"]
    assert done.stdout.splitlines() == printed
    assert "no attribute 'nonsense'" in done.stderr


def test_notebook(anode):
    cells = [
        "%matplotlib inline\nfrom __future__ import division\nimport os\nx = 3\nx",
        "!echo hello {x} $x\nlines = !echo a; echo b\nlines",
        "%%time\ny = 5\nprint(y)",
        's = """\n%no\n!no\n"""\nprint(len(s))\nif x:\n    %time z = 7\nz;',
        "len?\nget_ipython().magic('matplotlib inline')",
        "print(__name__, os.environ['MPLBACKEND'])",
        "def f():\n    return 1 / 0",
        "f()",
    ]
    environment = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "MPLBACKEND": "Agg"}
    done = anode("n.ipynb", environment=environment, n__ipynb=notebook(*cells))
    printed = [line for line in done.stdout.splitlines() if not line.startswith("Wall time")]
    assert printed == ["3", "hello 3 3", "['a', 'b']", "5", "9", "__main__ Agg"], done.stderr
    assert done.returncode == 1
    assert 'File "n.ipynb[8]", line 1' in done.stderr and 'File "n.ipynb[7]", line 2' in done.stderr
    assert "return 1 / 0" in done.stderr and "notebook.py" not in done.stderr


def test_cells_that_should_raise(anode):
    text = notebook("1 / 0", "print('after')", c0=["raises-exception"])
    done = anode("n.ipynb", n__ipynb=text)
    assert (done.stdout, done.returncode) == ("after\n", 0)
    assert "ZeroDivisionError" in done.stderr


def test_ipython_is_there_for_cells_only(anode):
    cells = [
        "from IPython import get_ipython\nfrom IPython.display import HTML, IFrame\nimport lib",
        "display(HTML('x'), IFrame('a', 9, 5), 'text')\nget_ipython() is not None, lib.found",
    ]
    library = "import IPython\nfound = IPython.get_ipython()\n"
    done = anode("n.ipynb", n__ipynb=notebook(*cells), lib__py=library)
    shown = "".join(f"<IPython.core.display.{name} object>\n" for name in ("HTML", "IFrame"))
    assert done.stdout == shown + "text\n(True, None)\n", done.stderr


def test_unknown_magics_are_named(anode):
    done = anode("n.ipynb", n__ipynb=notebook("x = 1\n%frobnicate x"))
    assert done.returncode == 1 and "the magic %frobnicate is not implemented" in done.stderr
    assert 'n.ipynb[1]", line 2' in done.stderr


def test_notebooks_of_format_3(tmp_path):
    path = tmp_path / "old.ipynb"
    cell = {"cell_type": "code", "input": ["x = 1\n", "x"]}
    path.write_text(json.dumps({"worksheets": [{"cells": [cell]}], "nbformat": 3}))
    assert [cell.source for cell in Notebook.read(str(path)).cells] == ["x = 1\nx"]
    path.write_text("not json")
    with pytest.raises(DataError, match="is not a notebook"):
        Notebook.read(str(path))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("x = 1", "x = 1"),
        ("%%bash\nls\n", "get_ipython().run_cell_magic('bash', '', 'ls\\n')\n"),
        ("\n%%time", "\nget_ipython().run_cell_magic('time', '', '\\n')\n"),
        ("  !ls -l", "get_ipython().system('ls -l')\n"),
        ("f = %pwd", "f = get_ipython().run_line_magic('pwd', '')\n"),
        ("% cd a", "get_ipython().run_line_magic('cd', 'a')\n"),
        ("x = (5\n%3)", "x = (5\n%3)\n"),
        ('x = """\n%3"""', 'x = """\n%3"""\n'),
        ("x = 5 \\\n%3", "x = 5 \\\n%3\n"),
        (
            "try:\n    # in Colab\n    x?\nexcept E:\n    y?",
            "try:\n    # in Colab\n    pass\nexcept E:\n    pass\n",
        ),
        ("tf.nn?", "pass\n"),
    ],
)
def test_translation(cell, expected):
    assert translated(cell) == expected


def test_options_come_before_the_script():
    assert parse(["--report", "a.py", "--report"]) == (True, "a.py", ["--report"])
    assert parse(["--", "--report"]) == (False, "--report", [])
    with pytest.raises(AnodeError, match="no option --foo"):
        parse(["--foo", "a.py"])
    with pytest.raises(AnodeError, match="needs a script"):
        parse([])


def test_a_missing_script_is_one_sentence(capsys):
    assert main(["run", "/no/such.py"]) == 1
    assert capsys.readouterr().err == "anode: /no/such.py: No such file or directory\n"


def test_report(anode):
    script = """
        import tensorflow as tf
        x = tf.placeholder(tf.float32, [2], name="x")
        y = tf.py_func(lambda a: a + 1, [x * 2], tf.float32, name="plus")
        def main():
            session = tf.Session()
            for _ in range(3):
                print(session.run(y, {x: [1, 2]}))
        main()
    """
    done = anode("a.py", options=["--report"], a__py=script)
    assert done.returncode == 0 and done.stdout == "[3. 5.]\n" * 3, done.stderr
    assert "what sessions ran: host" in done.stderr and "PyFunc 3x" in done.stderr
    assert [line.split()[2] for line in done.stderr.splitlines() if line.endswith("mul")] == ["3"]
    idle = anode("b.py", options=["--report"], b__py="print(1)")
    assert idle.stderr == "anode: no session, step or computation ran\n"


def test_report_of_neon_and_ngraph(anode):
    script = """
        import numpy as np
        import ngraph as ng
        import ngraph.transformers as ngt
        from neon.backends import gen_backend
        from neon.data import ArrayIterator
        from neon.initializers import Gaussian
        from neon.layers import Affine
        from neon.models import Model

        be = gen_backend("cpu", rng_seed=0, batch_size=2)
        total = be.zeros((1, 2))
        total[:] = total + 1  # outside of any step
        model = Model([Affine(3, Gaussian(scale=0.1))])
        model.get_outputs(ArrayIterator(np.ones((10, 4), "f4")))
        x = ng.placeholder(())
        plus = ngt.make_transformer().computation((x + 1.5).named("plus"), x)
        print(plus(2), plus(3))
    """
    done = anode("a.py", options=["--report"], a__py=script)
    assert done.stdout == "3.5 4.5\n", done.stderr
    lines = done.stderr.splitlines()
    (title,) = [line for line in lines if line.startswith("anode: what steps and computations ran")]
    assert "compiled" in title and "reference" in title
    rows = {line.split()[-1]: line.split() for line in lines[lines.index(title) + 2 :]}
    assert rows["plus"][1:3] == ["compiled", "2"]
    assert rows["Model.fprop.<locals>.forward"][1:3] == ["compiled", "5"]


def test_what_a_start_imports(anode):
    script = """
        import sys
        import tensorflow as tf
        tf.Session().run(tf.constant(1))
        print([name for name in ("typer", "rich", "llvmlite", "PIL") if name in sys.modules])
    """
    done = anode("a.py", a__py=script)
    assert done.stdout == "[]\n", done.stderr
