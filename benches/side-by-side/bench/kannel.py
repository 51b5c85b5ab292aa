"""Kannel as a gateway that terminates SMPP: bearerbox and opensmppbox. Slow, so it is run only when asked for."""

import pathlib
import subprocess
import tempfile

from .process import ContestantError, found, run, write_configuration

KANNEL_VERSION = "1.4.5"
# Debian's packages that building opensmppbox takes; kannel-dev has the libraries that Kannel itself was built from.
KANNEL_PACKAGES = ("kannel", "kannel-dev", "dpkg-dev", "build-essential")
SOURCES = "deb-src http://deb.debian.org/debian {release} main\n"


class Kannel:
    """bearerbox and opensmppbox, which Debian has in Kannel's source package but does not build.

    opensmppbox allows an account one connection, so there may be no more connections than accounts.
    """

    title = "Kannel"
    packages = ()

    def __init__(self, folder):
        self._box = pathlib.Path(folder) / "opensmppbox"

    def version(self):
        found("bearerbox")
        if not self._box.exists():
            raise ContestantError("there is no opensmppbox; `benches/side-by-side/run --install --with kannel` builds it")
        return f"bearerbox {KANNEL_VERSION} and opensmppbox of the same source, Debian's package"

    def install(self, apt_install):
        apt_install(KANNEL_PACKAGES)
        self._box.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="side-by-side-") as folder:
            source = unpacked_source(pathlib.Path(folder)) / "addons/opensmppbox"
            run("./configure", "--with-kannel-dir=/usr", cwd=source)
            run("make", cwd=source)
            run("cp", str(source / "gw/opensmppbox"), str(self._box), cwd=source)

    def start(self, running):
        place = running.place
        boxes, admin = place.spare_ports(2)
        values = {"boxes": boxes, "admin": admin}
        servers = "\n".join(
            f"group = smsc\nsmsc = smpp\nsmsc-id = smsc-{n}\nhost = 127.0.0.1\nport = {port}\ntransceiver-mode = true\n"
            'smsc-username = mux\nsmsc-password = secret\nsystem-type = ""\nmax-pending-submits = 1000\n'
            for n, port in enumerate(place.smscs)
        )
        logins = place.folder / "logins"
        logins.write_text("".join(f"esme{n} secret any *.*.*.*\n" for n in range(1, place.accounts + 1)))
        bearerbox = write_configuration("bearerbox.conf", place, servers=servers, **values)
        box = write_configuration("opensmppbox.conf", place, logins=logins, **values)
        log = running.start("bearerbox", found("bearerbox"), bearerbox, cpus={place.proxy_cpu})
        running.wait_for_listener(boxes, log)
        log = running.start("opensmppbox", str(self._box), box, cpus={place.proxy_cpu})
        running.wait_for_listener(place.listen, log)


def unpacked_source(folder):
    """Upstream's part of Debian's source package; fetched without touching the system's lists of sources."""
    release = run("sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME", cwd=folder).strip()
    (folder / "sources.list").write_text(SOURCES.format(release=release))
    (folder / "lists/partial").mkdir(parents=True)
    apt = ("apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={folder}/sources.list", "-o", "Dir::Etc::sourceparts=-",
           "-o", f"Dir::State::lists={folder}/lists")  # fmt: skip
    run(*apt, "update", cwd=folder)
    # Debian's patches are not needed for this part, and mirrors may lack them: what counts is whether the tar is there.
    subprocess.run((*apt, "source", "--download-only", "kannel"), cwd=folder, check=False, stdout=subprocess.DEVNULL)
    archives = list(folder.glob("kannel_*.orig.tar.*"))
    if not archives:
        raise ContestantError("Debian's mirror has no source package of Kannel")
    run("tar", "xf", str(archives[0]), cwd=folder)
    return next(folder.glob("gateway-*"))
