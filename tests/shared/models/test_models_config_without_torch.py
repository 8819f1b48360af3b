import subprocess
import sys


def test_settings_import_without_torch():
    code = "import sys, shared.models.config, shared.models.mixers.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
