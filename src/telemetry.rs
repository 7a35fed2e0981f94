//! Logging: structured events on standard error, as text for people or JSON for collectors. Traces, in builds that have
//! them.

#[cfg(feature = "otel")]
mod traces;

use std::io::{self, Write};

use clap::ValueEnum;
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::api::text::is_disruptive;

/// Format of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// What must live as long as there may be something to tell. What is still to be sent goes out when it is dropped, which
/// the runtime must outlive.
#[must_use]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    _traces: Option<traces::Sending>,
}

/// Installs the global subscriber; traces, if there are any, are sent on this runtime. Errors, for people: the filter can't
/// be parsed, the environment asks for traces in a way that can't be had, or a subscriber is installed already.
pub fn install(format: LogFormat, filter: &str, runtime: &Handle) -> Result<Telemetry, String> {
    let filter = EnvFilter::try_new(filter).map_err(|e| format!("failed to parse --log {filter:?}: {e}"))?;
    let log = fmt::layer();
    let log: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => log
            .with_ansi(false)
            .with_writer(|| OneLine::of_text(io::stderr()))
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_writer(|| OneLine::of_json(io::stderr()))
            .with_filter(filter)
            .boxed(),
    };
    let (layers, telemetry) = with_traces(log, runtime)?;
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(|e| format!("failed to start logging: {e}"))?;
    Ok(telemetry)
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

#[cfg(feature = "otel")]
fn with_traces(
    log: Box<dyn Layer<Registry> + Send + Sync>,
    runtime: &Handle,
) -> Result<(Layers, Telemetry), String> {
    let mut layers = vec![log];
    let sending = traces::layer(runtime.clone())?.map(|(layer, sending)| {
        layers.push(layer.boxed());
        sending
    });
    Ok((layers, Telemetry { _traces: sending }))
}

#[cfg(not(feature = "otel"))]
fn with_traces(
    log: Box<dyn Layer<Registry> + Send + Sync>,
    _runtime: &Handle,
) -> Result<(Layers, Telemetry), String> {
    Ok((vec![log], Telemetry {}))
}

/// Writes each event on a line of its own, whatever is in it: AWS's messages may quote what a tenant wrote, and nobody
/// may write lines of their own into the log, nor turn the direction in which it is read. The subscriber hands over one
/// event at a time, with its end of line.
struct OneLine<W> {
    to: W,
    escape: fn(char, &mut String),
}

impl<W> OneLine<W> {
    fn of_text(to: W) -> Self {
        let escape = |c: char, line: &mut String| line.extend(c.escape_default());
        Self { to, escape }
    }

    /// In JSON such characters can stand only inside of strings, where this is how they are written (RFC 8259, section 7).
    fn of_json(to: W) -> Self {
        let escape = |c: char, line: &mut String| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        };
        Self { to, escape }
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len());
        for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
            if is_disruptive(c) {
                (self.escape)(c, &mut line);
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        self.to.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_can_write_a_line_of_their_own_into_the_log() {
        let log = Shared::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || OneLine::of_text(writer.clone()))
            .finish();
        let hostile = "bad\n2026-01-01T00:00:00Z  INFO all is well\u{1b}[2K\u{202e}";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(error = %hostile, "failed {hostile}");
            tracing::info!("next");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains(r"bad\n2026-01-01"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }

    #[test]
    fn the_log_as_json_is_as_safe_to_look_at_and_still_says_what_was_written() {
        let log = Shared::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || OneLine::of_json(writer.clone()))
            .finish();
        let hostile = "bad\n{\"level\":\"INFO\"}\u{1b}[2K\u{202e}\u{2028}\u{85}\u{7f}größe";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(error = %hostile, "failed {hostile}");
            tracing::info!("next");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.replace('\n', "").contains(is_disruptive), "{text:?}");
        let event: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(event["error"], hostile);
        assert_eq!(event["message"], format!("failed {hostile}"));
    }
}
