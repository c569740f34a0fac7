//! The entrance, from the settings: rules, certificate, and what whoever started the server is told.

use crate::access::bootstrap::Credentials;
use crate::access::login::Door;
use crate::access::rules::Rules;
use crate::access::tls::Tls;
use crate::config::{Auth, Config};
use crate::engine::Engine;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// The rules: the file's, or those of `auth`.
pub(super) fn rules(config: &Config) -> Result<Rules, String> {
    let Some(file) = &config.access_rules_file else {
        return Ok(match config.auth {
            Auth::Peer => Rules::peer(),
            Auth::Scram => Rules::passwords(),
            Auth::Trust => Rules::trust_loopback(),
        });
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("could not read access rules file \"{shown}\": {error}"))?;
    Rules::parse(&text).map_err(|error| format!("access rules file \"{shown}\", {error}"))
}

/// The certificate, if one is set.
pub(super) fn tls(config: &Config) -> Result<Option<Arc<Tls>>, String> {
    let files = config.tls_cert_file.as_deref().zip(config.tls_key_file.as_deref());
    files.map(|(cert, key)| Tls::open(cert, key).map(Arc::new)).transpose()
}

/// On SIGHUP, and when `pg_reload_conf()` asks, rules and certificate are read again; what is wrong is told in the log, and stays as it was.
pub(super) fn reload_on_signal(engine: &Arc<Engine>, door: Arc<Door>, tls: Option<Arc<Tls>>) -> Result<(), String> {
    let mut hangups = signal(SignalKind::hangup()).map_err(|e| format!("could not watch for SIGHUP: {e}"))?;
    // It does not keep the engine from closing.
    let engine = Arc::downgrade(engine);
    tokio::spawn(async move {
        while let Some(asked) = engine.upgrade().map(|engine| (engine.config.clone(), Arc::clone(&engine.reload))) {
            let (config, reload) = asked;
            tokio::select! {
                hangup = hangups.recv() => if hangup.is_none() { return },
                () = reload.notified() => {}
            }
            let reloaded = rules(&config).map(|rules| door.set_rules(rules)).and(tls.as_ref().map_or(Ok(()), |tls| tls.reload()));
            match reloaded {
                Ok(()) => tracing::info!("access rules and certificate were read again"),
                Err(error) => tracing::error!(%error, "not reloaded: the access rules and the certificate stay as they were"),
            }
        }
    });
    Ok(())
}

/// What to type to connect as the superuser; the password stands in it at the first start only.
pub(super) fn how_to_connect(config: &Config, credentials: &Credentials, address: SocketAddr) -> String {
    let asked = config.access_rules_file.is_some() || config.auth == Auth::Scram;
    let url = format!("postgresql://plimsoll@{address}/plimsoll");
    match credentials {
        Credentials::Generated(password) => format!("psql postgresql://plimsoll:{password}@{address}/plimsoll"),
        Credentials::InFile(file) if asked || !address.ip().is_loopback() => {
            let file = file.canonicalize().unwrap_or_else(|_| file.clone());
            format!("PGPASSFILE={} psql {url}", crate::catalog::names::literal(&file.display().to_string()))
        }
        Credentials::InFile(_) | Credentials::Given | Credentials::Known => format!("psql {url}"),
    }
}
