//! What a statement is planned with: the session's settings at its begin.

use crate::access::acl;
use crate::access::rights::Rights;
use crate::catalog::Catalog;
use crate::ddl::decision::Scope;
use crate::engine::Engine;
use crate::query::QueryContext;
use crate::query::explain::Ran;
use crate::session::cursors::CursorFacts;
use crate::session::effects::Effects;
use crate::session::prepared::PreparedFacts;
use crate::session::sequences::SessionSequences;
use crate::session::settings::Settings;
use crate::types::forms::ValueForms;
use crate::view::View;
use std::sync::Arc;
use std::time::Duration;

/// What functions and views tell of the session.
#[derive(Clone, Debug, Default)]
pub struct SessionFacts {
    /// The process id that clients cancel by.
    pub process_id: i32,
    /// The settings at the statement's begin.
    pub settings: Settings,
    /// Its cursors.
    pub cursors: Arc<[CursorFacts]>,
    /// Its prepared statements.
    pub prepared: Arc<[PreparedFacts]>,
    /// What functions do to it.
    pub effects: Arc<Effects>,
    /// When its transaction began; `None`: now.
    pub transaction_started: Option<chrono::DateTime<chrono::Utc>>,
}

impl SessionFacts {
    /// How long the statement waits for a lock; `None`: as long as it takes.
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.settings.milliseconds("lock_timeout").map(Duration::from_millis)
    }
}

/// The schemas that a role may look into.
fn usable(catalog: &Catalog, user: &str, search_path: &[String]) -> Vec<String> {
    let rights = Rights::of(catalog, user);
    search_path.iter().filter(|schema| rights.has_on_schema(schema, acl::USAGE)).cloned().collect()
}

/// Makes the contexts of one statement; cheap to clone.
#[derive(Clone)]
pub struct ContextSource {
    /// What all sessions share.
    pub engine: Arc<Engine>,
    /// Where unqualified names are looked up, in order.
    pub search_path: Vec<String>,
    /// Of which the first that exists takes what is new.
    pub creation_path: Vec<String>,
    /// How values are read and written.
    pub forms: Arc<ValueForms>,
    /// Who.
    pub user: String,
    /// Where.
    pub database: String,
    /// The session's process id and settings.
    pub session: Arc<SessionFacts>,
    /// The session's sequences.
    pub sequences: Arc<SessionSequences>,
    /// Who wants to see the plan that is run.
    pub ran: Option<Ran>,
}

impl ContextSource {
    /// A context of a view; the session's sequence functions see the same from now on. It is made anew for each attempt at a statement.
    pub fn context(&self, view: View) -> QueryContext {
        let search_path = usable(&view.catalog, &self.user, &self.search_path);
        self.sequences.see(view.catalog.clone(), search_path.clone());
        if let Some(ran) = &self.ran {
            ran.forget();
        }
        QueryContext {
            engine: self.engine.clone(),
            view,
            search_path,
            forms: self.forms.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            session: self.session.clone(),
            sequences: self.sequences.clone(),
            ran: self.ran.clone(),
            held: Arc::default(),
            changed: None,
        }
    }
    /// What DDL is decided with.
    pub fn scope<'a>(&'a self, catalog: &'a Catalog) -> Scope<'a> {
        Scope { catalog, search_path: &self.search_path, creation_path: &self.creation_path, database: &self.database, user: &self.user }
    }
}
