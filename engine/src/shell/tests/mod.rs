//! The shell, run for real on loopback around a small fake engine, on every driver.

/// Makes a test of each function for each driver.
macro_rules! on_every_driver {
    ($($test:ident),+ $(,)?) => {
        on_every_driver!(@on glommio, Glommio, $($test),+);
        on_every_driver!(@on epoll, Epoll, $($test),+);
        on_every_driver!(@on ring, Ring, $($test),+);
        on_every_driver!(@on ring_of_an_old_kernel, RingOfAnOldKernel, $($test),+);
    };
    (@on $module:ident, $driver:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test($crate::shell::tests::harness::TestedDriver::$driver);
                }
            )+
        }
    };
}

mod accounts;
mod bytes_and_closing;
mod cores;
mod fake_engine;
mod harness;
mod idle;
mod starting;
