"""The Jupyter kernel against Jupyter's own tests, and a notebook carried out by nbclient.

    python Tests/Interop/jupyter.py .build/release/prn

Installs the kernel into this Python environment. Tried with ipykernel 7.4.0, jupyter_kernel_test 0.7.0, nbclient 0.11.0.
"""
import os
import subprocess
import sys
import tempfile
import unittest

import jupyter_kernel_test
import nbformat
from nbclient import NotebookClient
from pygments.lexers import load_lexer_from_file

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
MODEL = "m = load ./data/tiny-llama"
SCORES = "flap (capture m (text ./data/calibration.txt model=m samples=2 length=32) sites=ffn.act keep=moments)"


class KernelTests(jupyter_kernel_test.KernelTests):
    kernel_name = "prn"
    language_name = "prn"
    file_extension = ".prn"
    code_stderr = MODEL + """
n = canica (capture m (text ./data/calibration.txt model=m samples=2 length=32) sites=ffn.gate,ffn.up keep=stream) \\
  components=2 per_run=2 iterations=1"""
    completion_samples = [
        {"text": "mk = mas", "matches": {"mask"}},
        {"text": "flap x metr", "matches": {"metric="}},
    ]
    complete_code_samples = [MODEL, "set quiet on"]
    incomplete_code_samples = ["r = for x in 1,2 {", "x = (flap"]
    invalid_code_samples = ["m = = 3"]
    code_generate_error = "x = lod"
    code_inspect_sample = "flap"
    code_display_data = [
        {"code": MODEL + "\nm", "mime": "text/html"},
        {"code": MODEL + "\nplot m", "mime": "image/svg+xml"},
    ]


class LexerTests(unittest.TestCase):
    def test_words_are_the_programs_own(self):
        path = os.path.join(sys.prefix, "share/jupyter/kernels/prn/prn_kernel.py")
        lexer = load_lexer_from_file(path, "PrnLexer")
        code = '# %% Score\nparam rate = 20%  "share"\ns = flap acts metric=wifv  # all\nplot s to=./out/s.svg\n'
        tokens = [(str(kind)[6:], text) for kind, text in lexer.get_tokens(code) if text.strip()]
        self.assertEqual(code, "".join(text for _, text in lexer.get_tokens(code)))
        for token in [("Generic.Subheading", "# %% Score"), ("Keyword", "param"), ("Name.Variable", "rate"),
                      ("Literal.Number", "20%"), ("Literal.String.Double", '"share"'), ("Name.Function", "flap"),
                      ("Name.Attribute", "metric"), ("Comment.Single", "# all"), ("Name.Builtin", "plot"),
                      ("Literal", "./out/s.svg"), ("Name", "acts")]:
            self.assertIn(token, tokens)


class NotebookTests(unittest.TestCase):
    def test_a_notebook_holds_tables_and_pictures(self):
        cells = [MODEL, "s = " + SCORES, "show s", "plot s", "x = lod", "mk = mask s rate=20%\nmk.rate"]
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "prn", "display_name": "prn", "language": "prn"}})
        NotebookClient(notebook, timeout=120, kernel_name="prn", allow_errors=True).execute()
        outputs = [cell.outputs for cell in notebook.cells]
        forms = [[form for output in cell for form in output.get("data", {})] for cell in outputs]
        self.assertIn("text/html", forms[2])
        self.assertIn("image/svg+xml", forms[3])
        self.assertEqual("error", outputs[4][-1].output_type)
        self.assertIn("did you mean the op `load`?", "\n".join(outputs[4][-1].traceback))
        self.assertIn("text/plain", forms[5], "the session goes on after an error")
        nbformat.validate(notebook)


if __name__ == "__main__":
    prn = os.path.abspath(sys.argv.pop(1))
    os.environ["PRN"] = prn
    subprocess.run([prn, "kernel", "install", "--prefix", sys.prefix], check=True)
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(ROOT, "data"), os.path.join(folder, "data"))
        os.chdir(folder)
        unittest.main(verbosity=1)
