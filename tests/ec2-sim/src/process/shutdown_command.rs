//! The arguments of `shutdown`, `poweroff` and `halt` (shutdown(8), poweroff(8) of systemd).

use serde::Serialize;

/// What is asked of the instance; the body of the control call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ShutdownRequest {
    pub(super) minutes: u64,
    pub(super) cancel: bool,
    pub(super) halt: bool,
}

/// Reads a command line. `Ok(None)` asks for nothing. `minute_of_day` is the time now, for `hh:mm`.
pub(super) fn parse(
    name: &str,
    arguments: &[String],
    minute_of_day: u64,
) -> Result<Option<ShutdownRequest>, String> {
    let mut request = ShutdownRequest {
        halt: name == "halt",
        ..ShutdownRequest::default()
    };
    let mut when: Option<&str> = None;
    let mut only_warns = false;
    for argument in arguments {
        match argument.as_str() {
            "-c" => request.cancel = true,
            "-k" => only_warns = true,
            "-H" | "--halt" => request.halt = true,
            "-p" | "-P" | "--poweroff" => request.halt = false,
            // `shutdown -h` powers off; `halt -h` is its help.
            "-h" if name == "shutdown" => request.halt = false,
            "-f" | "--force" | "-d" | "-w" | "--no-wall" | "--no-wtmp" => {}
            "-r" | "--reboot" => return Err("a reboot is not modelled by ec2-sim".to_owned()),
            option if option.starts_with('-') => {
                return Err(format!("option {option} is not known"));
            }
            // What follows the time is a message to users.
            time if name == "shutdown" && when.is_none() => when = Some(time),
            _ => {}
        }
    }
    if only_warns {
        return Ok(None);
    }
    if request.cancel {
        request.halt = false;
        return Ok(Some(request));
    }
    request.minutes = match when {
        // shutdown(8): "If no time argument is specified, +1 is implied"; the others act at once.
        None => u64::from(name == "shutdown"),
        Some("now") => 0,
        Some(time) => minutes_until(time, minute_of_day).ok_or_else(|| {
            format!("time `{time}` is not understood; use now, +MINUTES or hh:mm")
        })?,
    };
    Ok(Some(request))
}

fn minutes_until(time: &str, minute_of_day: u64) -> Option<u64> {
    const DAY: u64 = 24 * 60;
    if let Some((hour, minute)) = time.split_once(':') {
        let (hour, minute) = (hour.parse::<u64>().ok()?, minute.parse::<u64>().ok()?);
        return (hour < 24 && minute < 60)
            .then(|| (hour * 60 + minute + DAY - minute_of_day % DAY) % DAY);
    }
    time.strip_prefix('+').unwrap_or(time).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{ShutdownRequest, parse};

    fn read(line: &str) -> Result<Option<ShutdownRequest>, String> {
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        let name = words.next().unwrap();
        parse(&name, &words.collect::<Vec<_>>(), 23 * 60)
    }

    fn minutes(line: &str) -> u64 {
        let request = read(line).unwrap().unwrap();
        assert!(!request.cancel && !request.halt, "{line}");
        request.minutes
    }

    #[test]
    fn times_are_those_of_the_manual() {
        assert_eq!(minutes("shutdown -P +480"), 480);
        assert_eq!(minutes("shutdown -h now"), 0);
        assert_eq!(minutes("shutdown --poweroff 5 going down"), 5);
        assert_eq!(minutes("shutdown"), 1);
        assert_eq!(minutes("poweroff"), 0);
        assert_eq!(minutes("halt -p"), 0);
        assert_eq!(minutes("shutdown -P 01:30"), 150);
    }

    #[test]
    fn a_shutdown_can_be_cancelled_and_a_halt_is_no_power_off() {
        assert!(read("shutdown -c").unwrap().unwrap().cancel);
        assert!(read("halt").unwrap().unwrap().halt);
        assert!(read("shutdown -H now").unwrap().unwrap().halt);
        assert_eq!(read("shutdown -k now"), Ok(None));
        assert!(read("shutdown -r now").is_err());
        assert!(read("shutdown -P soon").is_err());
    }
}
