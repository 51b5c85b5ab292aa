"""The certificate that proxies show where TLS is measured: a new one for each sample, its key on the curve P-256."""

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True)
class Files:
    """PEM. It signs itself, so it is its own authority."""

    certificate: pathlib.Path
    key: pathlib.Path
    both: pathlib.Path


def make(folder):
    """In this folder, once."""
    files = Files(folder / "tls.pem", folder / "tls.key", folder / "tls-both.pem")
    if not files.both.exists():
        command = (
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", str(files.key), "-out", str(files.certificate),
        )  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        files.both.write_text(files.certificate.read_text() + files.key.read_text())
    return files
