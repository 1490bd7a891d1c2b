//! Lines on standard output that may lead into a pipe.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use crate::error::{Error, Result};

/// Writes a line.
///
/// # Errors
/// [`Error::NobodyReads`] when the other end of the pipe is closed, as by `head`: there is no more to do.
pub(crate) fn line(text: Arguments<'_>) -> Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Error::NobodyReads),
        Err(source) => Err(Error::Io {
            doing: "write to standard output".to_owned(),
            source,
        }),
    }
}

/// `println!` that ends the command when nobody reads any more.
macro_rules! say {
    () => { $crate::show::line(format_args!(""))? };
    ($($text:tt)*) => { $crate::show::line(format_args!($($text)*))? };
}
pub(crate) use say;
