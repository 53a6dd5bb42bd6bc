//! The command line of a native process, the same for all of them.

use std::path::PathBuf;

use crate::wire::listen::Address;

pub(crate) const USAGE: &str = "\
--listen ADDRESS --home DIR --metrics ADDRESS|off [--process NAME] [--ready-fd N --life-fd M]

  --listen ADDRESS      where it answers by gRPC: unix:/path (for its user only) or host:port
  --home DIR            the folder of the application's state
  --metrics ADDRESS     where Prometheus metrics are served: unix:/path, host:port (port 0: a free one, named in
                        NAME.metrics of the home), or off
  --process NAME        its name in logs, metrics and statistics
  --ready-fd N          a pipe to which it writes `ready` once it answers
  --life-fd M           a pipe from which it reads a line of JSON before it begins, and whose end is its own
";

/// What a native process was started with.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub listen: Address,
    pub home: PathBuf,
    pub metrics: Option<Address>,
    pub process: Option<String>,
    pub ready: Option<u32>,
    pub life: Option<u32>,
}

impl Arguments {
    /// What is wrong with the words, when something is.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut listen, mut home, mut metrics, mut process, mut ready, mut life) =
            (None, None, None, None, None, None);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--listen" => listen = Some(Address::parse(&value()?)?),
                "--home" => home = Some(PathBuf::from(value()?)),
                "--metrics" => metrics = Some(value()?),
                "--process" => process = Some(value()?),
                "--ready-fd" => ready = Some(descriptor(&word, &value()?)?),
                "--life-fd" => life = Some(descriptor(&word, &value()?)?),
                _ => return Err(format!("{word} is none of its options")),
            }
        }
        Ok(Self {
            listen: listen.ok_or("--listen is missing")?,
            home: home.ok_or("--home is missing")?,
            metrics: match metrics.ok_or("--metrics is missing")?.as_str() {
                "off" => None,
                address => Some(Address::parse(address)?),
            },
            process,
            ready,
            life,
        })
    }
}

fn descriptor(option: &str, value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| format!("{option} is {value:?}, which is no descriptor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_full_line_is_understood() {
        let line =
            "--listen unix:/run/x.sock --home /var/x --metrics 127.0.0.1:0 --process engine --ready-fd 5 --life-fd 6";

        let arguments = parse(line).unwrap();

        assert_eq!(arguments.listen, Address::Unix("/run/x.sock".into()));
        assert_eq!(arguments.metrics, Some(Address::Tcp("127.0.0.1:0".to_owned())));
        assert_eq!((arguments.ready, arguments.life), (Some(5), Some(6)));
    }

    #[test]
    fn metrics_may_be_off() {
        assert_eq!(parse("--listen [::1]:50051 --home . --metrics off").unwrap().metrics, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, wrong) in [
            ("", "--listen is missing"),
            ("--listen unix:", "unix: needs a path"),
            ("--listen /run/x.sock", "\"/run/x.sock\" is neither unix:/path nor host:port"),
            ("--listen localhost:99999 --home .", "\"localhost:99999\" is neither unix:/path nor host:port"),
            ("--listen unix:/x --home", "--home needs a value"),
            ("--verbose", "--verbose is none of its options"),
            ("--ready-fd -1", "--ready-fd is \"-1\", which is no descriptor"),
        ] {
            assert_eq!(parse(line).unwrap_err(), wrong, "{line}");
        }
    }
}
