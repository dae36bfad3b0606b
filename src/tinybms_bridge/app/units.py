"""The files that make the bridge a service of systemd: two units, their target, the rule of udev, the user.

Only texts are made here. ``app/installation.py`` puts them in their places, and a package is built with
``tinybms-bridge install-service --files-to``. What each word means: systemd.service(5), systemd.exec(5),
systemd.resource-control(5), sysusers.d(5), udev(7).
"""

import re

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.link.path import SERVICE_DIRECTORY, SOCKET_NAME
from tinybms_bridge.words import message

__all__ = [
    "CONFIGURATION_FILE",
    "CORE_UNIT",
    "LOG_DIRECTORY",
    "SERVICES_UNIT",
    "SERVICE_USER",
    "STATE_DIRECTORY",
    "TARGET_UNIT",
    "UDEV_RULES",
    "USER_FILE",
    "unit_files",
]

SERVICE_USER = "tinybms-bridge"
"""Name of the user and of its group, under which both processes run."""
CORE_UNIT = "tinybms-bridge-core.service"
SERVICES_UNIT = "tinybms-bridge-services.service"
TARGET_UNIT = "tinybms-bridge.target"
UDEV_RULES = "60-tinybms-bridge.rules"
USER_FILE = "tinybms-bridge.conf"
"""Of sysusers.d."""
CONFIGURATION_FILE = "/etc/tinybms-bridge/config.json"
"""Its directory belongs to the user: a file is saved by renaming one beside it."""
STATE_DIRECTORY = "/var/lib/tinybms-bridge"
LOG_DIRECTORY = "/var/log/tinybms-bridge"

_NAME = "tinybms-bridge"
_LEGIBLE = re.compile(r"/[^\"'\\$%\x00-\x1f\x7f]*")
"""Paths that mean themselves in a line of a unit."""

_SERIAL_PORTS = {
    188: "ttyUSB: adapters of FTDI, Silicon Labs, WCH and Prolific",
    166: "ttyACM: adapters and boards that speak USB CDC, CAN boards with slcan among them",
    204: "ttyAMA: the good port of a Raspberry Pi; and ttymxc, ttySC of other boards",
    4: "ttyS: ports that are built in, the small port of a Raspberry Pi",
}
"""By the number of the driver (Documentation/admin-guide/devices.txt of Linux). By its name systemd finds a driver only
if it is loaded when the unit starts, which that of an adapter is not before one was plugged in."""

_PROTECTION = """\
# What the process cannot do, whatever it was made to run
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=-/etc/tinybms-bridge
ProtectHome=yes
PrivateTmp=yes
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
UMask=0027
"""

_CORE = """\
# The process that may not fail: it reads the BMS and sends to the GX.
[Unit]
Description=TinyBMS bridge: from the BMS to the GX
PartOf={target}
# However often it fails, it is started again.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} run-core
ExecReload=/bin/kill -HUP $MAINPID
Environment=TINYBMS_BRIDGE_CONFIG={configuration}
Restart=always
RestartSec=200ms
# A board on which everything starts at once needs a while; the core itself gives up before.
TimeoutStartSec=150
TimeoutStopSec=10
# advanced.watchdog_timeout_s takes the place of this once the configuration is read.
WatchdogSec=30

User={user}
Group={user}
SupplementaryGroups={serial_group}
StateDirectory={name}
StateDirectoryMode=0750
RuntimeDirectory={name}
RuntimeDirectoryMode=0750
# The services find the socket of the next core in the same directory.
RuntimeDirectoryPreserve=restart

# Frames leave on time beside busy programs, and are the last to go when memory gets short.
LimitRTPRIO=5
LimitMEMLOCK=infinity
CPUWeight=1000
OOMScoreAdjust=-900

# Serial ports and CAN, and nothing else: no network, no other device. CAN of the kernel needs no device at all.
RestrictAddressFamilies=AF_UNIX AF_CAN AF_NETLINK
IPAddressDeny=any
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
{devices}
{protection}SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring @obsolete
"""

_SERVICES = """\
# Everything that people see. It may fail, be stopped or be updated: the frames go on.
[Unit]
Description=TinyBMS bridge: web pages, history and log
PartOf={target}
After={core} network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} run-services
Environment=TINYBMS_BRIDGE_SOCKET={socket}
Restart=always
RestartSec=2
TimeoutStartSec=90
TimeoutStopSec=15
WatchdogSec=60

User={user}
Group={user}
StateDirectory={name}
StateDirectoryMode=0750
LogsDirectory={name}
LogsDirectoryMode=0750

# A leak or an endless loop here takes nothing from the core. It uses 70 MB, and 40 more with a thousand clients.
MemoryHigh=200M
MemoryMax=256M
MemorySwapMax=64M
TasksMax=64
CPUWeight=20
Nice=5
OOMScoreAdjust=500

# The network, with ports below 1024, and no device.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
PrivateDevices=yes
DevicePolicy=closed
RestrictRealtime=yes
{protection}SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring @obsolete @resources
"""

_TARGET = """\
# Both processes as one: systemctl start, stop and restart of this reach both.
[Unit]
Description=TinyBMS bridge
Wants={core} {services}

[Install]
WantedBy=multi-user.target
"""

_RULES = """\
# Serial adapters that a TinyBMS or a CAN bus is connected with: names that stay, and nobody who writes to them unasked.
#   /dev/tinybms-SERIAL     by the serial number of the adapter, with -01, -02 ... for further ports of the same adapter
#   /dev/tinybms-at-PLACE   by the USB socket it is plugged into: for adapters without a number, such as CH340, and for
#                           those that all have the same, such as many CP210x (0001)
# Which there are: ls -l /dev/tinybms-*
ACTION=="remove", GOTO="tinybms_bridge_end"
SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", GOTO="tinybms_bridge_usb"
SUBSYSTEM=="tty", SUBSYSTEMS=="usb", GOTO="tinybms_bridge_tty"
GOTO="tinybms_bridge_end"

# ModemManager would look for a modem there, and disturb the BMS with its questions.
LABEL="tinybms_bridge_usb"
{devices}GOTO="tinybms_bridge_end"

LABEL="tinybms_bridge_tty"
{ports}ENV{{TINYBMS_PORT}}!="1", GOTO="tinybms_bridge_end"
ENV{{ID_MM_PORT_IGNORE}}="1"
GROUP="{serial_group}", MODE="0660", TAG+="uaccess"
ENV{{ID_PATH_TAG}}=="?*", SYMLINK+="tinybms-at-$env{{ID_PATH_TAG}}"
ENV{{ID_SERIAL_SHORT}}=="?*", ENV{{ID_USB_INTERFACE_NUM}}=="00", SYMLINK+="tinybms-$env{{ID_SERIAL_SHORT}}"
ENV{{ID_SERIAL_SHORT}}=="?*", ENV{{ID_USB_INTERFACE_NUM}}=="0[1-9]", \\
  SYMLINK+="tinybms-$env{{ID_SERIAL_SHORT}}-$env{{ID_USB_INTERFACE_NUM}}"

LABEL="tinybms_bridge_end"
"""

_ADAPTERS = (
    ("0403", "6001|6010|6011|6014|6015", "FTDI"),
    ("10c4", "ea60|ea70|ea71", "Silicon Labs CP210x"),
    ("1a86", "5523|55d3|55d4|7522|7523", "WCH CH340, CH341, CH343, CH9102"),
    ("067b", "2303|23a3|23b3|23c3|23d3|23e3|23f3", "Prolific PL2303"),
    ("ad50", "60c4", "CANable with slcan"),
    ("16d0", "117e", "CANable with slcan"),
)
"""Number of the maker, numbers of its products, and what people call them."""

_USER = """\
# User and group of the bridge. Who is in the group may do with it what an administrator may.
u {user} - "TinyBMS bridge" {state}
"""


def unit_files(program: str, *, serial_group: str = "dialout") -> dict[str, str]:
    """Return the contents of each file by its name, without a folder. Raises BridgeError for a path it cannot name.

    Args:
        program: Absolute path of ``tinybms-bridge``.
        serial_group: Group that serial ports belong to: ``dialout`` in Debian and its kin.

    """
    if not _LEGIBLE.fullmatch(program):
        raise BridgeError(message("install.path_unusable", path=program))
    words = {
        "program": f'"{program}"' if " " in program else program,
        "user": SERVICE_USER,
        "name": _NAME,
        "serial_group": serial_group,
        "core": CORE_UNIT,
        "services": SERVICES_UNIT,
        "target": TARGET_UNIT,
        "configuration": CONFIGURATION_FILE,
        "socket": str(SERVICE_DIRECTORY / SOCKET_NAME),
        "state": STATE_DIRECTORY,
        "protection": _PROTECTION,
    }
    return {
        CORE_UNIT: _CORE.format(devices=_allowed_devices(), **words),
        SERVICES_UNIT: _SERVICES.format(**words),
        TARGET_UNIT: _TARGET.format(**words),
        UDEV_RULES: _RULES.format(devices=_ignored(), ports=_marked(), **words),
        USER_FILE: _USER.format(**words),
    }


def _allowed_devices() -> str:
    return "".join(f"# {what}\nDeviceAllow=char-{number} rw\n" for number, what in _SERIAL_PORTS.items())


def _ignored() -> str:
    return "".join(
        f'ATTR{{idVendor}}=="{maker}", ATTR{{idProduct}}=="{products}", ENV{{ID_MM_DEVICE_IGNORE}}="1"\n'
        for maker, products, _ in _ADAPTERS
    )


def _marked() -> str:
    return "".join(
        f'# {name}\nENV{{ID_VENDOR_ID}}=="{maker}", ENV{{ID_MODEL_ID}}=="{products}", ENV{{TINYBMS_PORT}}="1"\n'
        for maker, products, name in _ADAPTERS
    )
