"""Installs the contestants that Debian has, and builds the gateways where they are wanted."""

import os
import shutil
import subprocess

from .process import ContestantError


def install(contestants, extras):
    """Everything that can be had, gateways where they are asked for; tells the versions."""
    gateways = [name for name in extras if name in contestants]
    install_missing(contestants)
    for name in gateways:
        try:
            contestants[name].version()
        except ContestantError:
            contestants[name].install(apt_install)
    for name in ("haproxy", "nginx", *gateways):
        print(f"{contestants[name].title}: {contestants[name].version()}")
    return 0


def install_missing(contestants):
    """Debian's packages that these contestants lack; where that is not possible, they will be left out and named."""
    packages = []
    for contestant in contestants.values():
        try:
            if contestant.packages:
                contestant.version()
        except ContestantError:
            packages += contestant.packages
    if packages and may_install():
        apt_install(packages)


def may_install():
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages):
    if not may_install():
        raise SystemExit(f"install {' '.join(packages)}, or run this as root on Debian")
    # RUNLEVEL=1 tells the packages' scripts that they may not start a service.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ("apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages)
    subprocess.run(("apt-get", "update", "-qq"), env=environment, check=True)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
