//! Where the balancer under test comes from, and how it is started and ended.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use smppmux_tests::process::Smppmux;

use crate::clock::Clock;
use crate::failure::{Outcome, fail};
use crate::peers::PATIENCE;
use crate::setting::Setting;

/// How often a process is asked whether it has ended, or a port whether somebody listens.
const POLL: Duration = Duration::from_millis(20);

/// What is tested.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// smppmux, started for each script with the configuration of its setting, on free ports.
    Smppmux {
        /// The program.
        program: PathBuf,
        /// CPUs of its engines; one may repeat.
        cores: String,
    },
    /// Any balancer, configured beforehand for one setting.
    Other {
        /// Where its clients connect.
        target: SocketAddr,
        /// Where it expects SMSC A and B.
        smscs: [SocketAddr; 2],
        /// How it is started in the foreground; without it, it runs already.
        command: Option<String>,
    },
}

/// A balancer that runs.
#[derive(Debug)]
pub(crate) enum Balancer {
    /// smppmux, as a process of ours.
    Smppmux(Box<Smppmux>),
    /// Another program, as a process of ours.
    Program(Child),
    /// Not ours to end.
    Standing,
}

impl Source {
    /// Starts it; gives where clients connect.
    pub(crate) fn start(
        &self,
        setting: Setting,
        smscs: [SocketAddr; 2],
        clock: Option<&Clock>,
    ) -> Outcome<(Balancer, SocketAddr)> {
        let environment = clock.map_or_else(Vec::new, Clock::environment);
        match self {
            Self::Smppmux { program, cores } => {
                let configuration = setting.configuration(cores, smscs);
                let mut smppmux = Smppmux::start_in(program, &configuration, &environment);
                smppmux.wait_for_log("smppmux ready");
                let target = smppmux.address();
                Ok((Balancer::Smppmux(Box::new(smppmux)), target))
            }
            Self::Other {
                target,
                command: Some(command),
                ..
            } => {
                let child = Command::new("sh")
                    .args(["-c", &format!("exec {command}")])
                    .envs(environment)
                    .stdin(Stdio::null())
                    .spawn();
                let Ok(child) = child else {
                    return fail(format!("the command {command:?} cannot be started"));
                };
                let balancer = Balancer::Program(child);
                await_listener(*target)?;
                Ok((balancer, *target))
            }
            Self::Other { target, .. } => {
                await_listener(*target)?;
                Ok((Balancer::Standing, *target))
            }
        }
    }

    /// Whether it is smppmux, which must have all that scripts ask for.
    pub(crate) const fn is_smppmux(&self) -> bool {
        matches!(self, Self::Smppmux { .. })
    }
}

fn await_listener(target: SocketAddr) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(target).is_err() {
        if Instant::now() > deadline {
            return fail(format!("nobody listens at {target}"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

impl Balancer {
    /// The process, where it is ours.
    pub(crate) fn process_id(&self) -> Option<u32> {
        match self {
            Self::Smppmux(smppmux) => Some(smppmux.process_id()),
            Self::Program(child) => Some(child.id()),
            Self::Standing => None,
        }
    }

    /// Asks it to end, as an operator does for a deploy.
    pub(crate) fn terminate(&self) -> Outcome {
        let Some(process) = self.process_id() else {
            return fail("the suite needs --command to end the balancer");
        };
        let process = i32::try_from(process).ok().and_then(Pid::from_raw);
        match process.map(|process| kill_process(process, Signal::TERM)) {
            Some(Ok(())) => Ok(()),
            _ => fail("the balancer's process is gone"),
        }
    }

    /// Waits for its end.
    pub(crate) fn await_exit(&mut self) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while self.is_running() {
            if Instant::now() > deadline {
                return fail(format!("the balancer does not end within {PATIENCE:?}"));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn is_running(&mut self) -> bool {
        match self {
            Self::Smppmux(smppmux) => smppmux.is_running(),
            Self::Program(child) => matches!(child.try_wait(), Ok(None)),
            Self::Standing => true,
        }
    }

    /// The end of its log, where it is known.
    pub(crate) fn log(&mut self) -> Vec<String> {
        match self {
            Self::Smppmux(smppmux) => smppmux.recent_log(),
            Self::Program(_) | Self::Standing => Vec::new(),
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Self::Program(child) = self {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
