//! Hides io_uring from a process, as the seccomp profiles of containers do.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Makes io_uring_setup fail with EPERM in `command` and in all that it starts.
pub fn forbid_io_uring(command: &mut Command) {
    // SAFETY: between fork and exec only async-signal-safe calls are made: two prctl, on values that live here.
    unsafe { command.pre_exec(install_filter) };
}

fn install_filter() -> io::Result<()> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const JUMP_IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    // The system call's number stands at the beginning of `seccomp_data`; io_uring_setup has the same on every machine.
    let filter = [
        instruction(LOAD, 0, 0),
        instruction(JUMP_IF_EQUAL, 425, 1),
        instruction(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(), 0),
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: plain numbers.
    let no_new_privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program and its instructions live until the call returns; the kernel copies them and writes nothing.
    let filtered = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if no_new_privileges == 0 && filtered == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// One instruction; a jump goes on at the next one if the comparison holds, else past `skipped` of them.
fn instruction(code: u32, operand: u32, skipped: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: 0,
        jf: skipped,
        k: operand,
    }
}
