"""Installs the contestants that Debian has, and builds the gateways where they are wanted."""

import os
import shutil
import subprocess

from .process import ContestantError


def install(contestants, gateways):
    missing = []
    for contestant in contestants.values():
        try:
            if contestant.packages:
                contestant.version()
        except ContestantError:
            missing += contestant.packages
    if missing:
        apt_install(missing)
    for name in gateways:
        try:
            contestants[name].version()
        except ContestantError:
            contestants[name].install(apt_install)
    for name in ("haproxy", "nginx", *gateways):
        print(f"{contestants[name].title}: {contestants[name].version()}")
    return 0


def apt_install(packages):
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(f"install {' '.join(packages)}, or run this as root on Debian")
    # RUNLEVEL=1 tells the packages' scripts that they may not start a service.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ("apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages)
    subprocess.run(("apt-get", "update", "-qq"), env=environment, check=True)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
