//! Longer help texts.

/// Below the help of `smppmux`.
pub(super) const EXAMPLES: &str = "\
Examples:
  smppmux demo
  smppmux serve --config smppmux.toml
  smppmux serve --listen 127.0.0.1:2775 --server 127.0.0.1:2776 --client esme1:secret
  smppmux check --config smppmux.toml
  smppmux ctl --socket /run/smppmux/control.sock servers --watch
  smppmux top --url http://127.0.0.1:9775
  smppmux pdu decode '00000010 00000015 00000000 00000001'

Exit codes:
  0   all went well                           66  a file does not exist or is unreadable
  1   demo, esme, smsc: something was lost,   69  a port is taken, or the system lacks something
      duplicated or mismatched                70  an internal error
  64  wrong arguments                         75  ended at once with messages under way
  65  malformed PDU, or nothing to explain    78  wrong configuration

Every command has its own --help.";

/// Below the help of `top`.
pub(super) const TOP: &str = "\
Keys:
  Tab, 1 to 5     another table: servers, clients, cores, queue, pools
  < > (← →)       sort by the column before or behind; r turns the order round
  ↑ ↓ PgUp PgDn   scroll
  p               pause, and go on
  q, Ctrl-C       quit

The figures are those of GET /api/v1/events, once a second. When smppmux ends it tries again until it is back.";

/// Below the help of `serve`.
pub(super) const SERVE: &str = "\
Durations have a unit: 500us, 500ms, 30s, 5min, 1h. Sizes are octets: 65536, 64KiB, 1MiB.
A flag overrides the file's key of the same name under [engine]; --window and --connections-per-server
override single servers too.

Without --config, each --server gets the uid 01, 02 … in order and is bound with system_id and password
\"smppmux\", and each --client may claim every address.

Signals:
  SIGTERM, SIGINT  drain: take no new requests, wait for answers that are due (--drain-timeout), unbind, exit 0;
                   a second one ends at once, with exit code 0 only if nothing was under way
  SIGHUP           read the configuration file again; one that is wrong, or needs a restart, changes nothing, and the
                   log says why

Examples:
  smppmux serve --config smppmux.toml --cores 0-3 --log-format json
  smppmux serve --listen 0.0.0.0:2775 --server smsc1:2775 --server smsc2:2775 --client app:secret";

/// Below the help of `check`.
pub(super) const CHECK: &str = "\
Errors are told as file:line:column: message, all of them at once, with exit code 78. Without errors there is
one line for each server, `name: binds`, and the exit code is 0. Warnings (keys that have no effect in this
version, CPUs that this machine does not have) go to standard error and do not change the exit code.";

/// Below the help of `pdu decode`.
pub(super) const PDU_DECODE: &str = "\
A malformed PDU is shown as far as it goes, then the octet and the rule that is broken; the exit code is 65.

Examples:
  smppmux pdu decode 00000010000000150000000000000001
  smppmux pdu decode '00:00:00:10 00:00:00:15' 0x0000000000000001
  xxd -p capture.bin | smppmux pdu decode -";

/// Below the help of `pdu explain`.
pub(super) const PDU_EXPLAIN: &str = "\
Examples:
  smppmux pdu explain ESME_RTHROTTLED
  smppmux pdu explain 0x58
  smppmux pdu explain message_payload
  smppmux pdu explain sar_";

/// Below the help of `ctl`.
pub(super) const CTL: &str = "\
Without --socket, --url or --config it tries /run/smppmux/control.sock, then http://127.0.0.1:9775.
Reading needs no permission over HTTP; changes need the control socket or the token.

Examples:
  smppmux ctl status
  smppmux ctl --config smppmux.toml servers --watch=2s
  smppmux ctl --url http://127.0.0.1:9775 cores --json
  smppmux ctl --socket /run/smppmux/control.sock drain

Exit codes: 0 done, 64 wrong arguments, 65 there is no such thing, or what is asked, or the file to
reload, is wrong, 66 the file of --config or of the token cannot be read, 69 smppmux cannot be
reached, 70 an answer that is not understood, or an internal error, 73 the file for a trace cannot
be written, 75 not possible now, 77 not permitted, 78 the file of --config is wrong, or names
neither socket nor address.";

/// Below the help of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  smppmux completions bash > /etc/bash_completion.d/smppmux
  smppmux completions zsh > /usr/share/zsh/site-functions/_smppmux
  smppmux completions fish > ~/.config/fish/completions/smppmux.fish";

/// Of `smppmux passwd`.
pub(super) const PASSWD: &str = "\
Examples:
  smppmux passwd
  printf secret | smppmux passwd";
