//! The grammar of roles and privileges: CREATE ROLE, GRANT, REVOKE, OWNER TO, SET ROLE.

use super::grammar::{Grammar, Ours, Read};
use crate::access::acl::Kind;
use crate::catalog::names::fold;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::tokenizer::Token;

/// A role as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// By name.
    Named(String),
    /// CURRENT_USER, CURRENT_ROLE.
    Current,
    /// SESSION_USER.
    Session,
    /// PUBLIC.
    Public,
}

impl RoleName {
    /// What a word of CREATE SCHEMA ... AUTHORIZATION stands for.
    pub fn of(word: &Ident) -> Self {
        match word.value.to_lowercase().as_str() {
            _ if word.quote_style.is_some() => Self::Named(word.value.clone()),
            "current_user" | "current_role" => Self::Current,
            "session_user" => Self::Session,
            _ => Self::Named(fold(word)),
        }
    }
}

/// One option of CREATE or ALTER ROLE.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RoleOption {
    Superuser(bool),
    CreateDb(bool),
    CreateRole(bool),
    Inherit(bool),
    Login(bool),
    Replication(bool),
    BypassRls(bool),
    ConnectionLimit(i64),
    Password(Option<String>),
    ValidUntil(String),
    InRole(Vec<RoleName>),
    Role(Vec<RoleName>),
    Admin(Vec<RoleName>),
}

impl std::fmt::Debug for RoleOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoleOption")
    }
}

/// What GRANT and REVOKE are on.
#[derive(Clone, Debug)]
pub enum GrantTarget {
    /// Tables, views, and (without the word TABLE, as in PostgreSQL) sequences.
    Tables(Vec<ObjectName>),
    /// Sequences.
    Sequences(Vec<ObjectName>),
    /// Schemas.
    Schemas(Vec<String>),
    /// Databases.
    Databases(Vec<String>),
    /// All tables of schemas.
    AllTables(Vec<String>),
    /// All sequences of schemas.
    AllSequences(Vec<String>),
}

/// GRANT or REVOKE of privileges.
#[derive(Clone, Debug)]
pub struct PrivilegeChange {
    /// Whether it gives.
    pub grant: bool,
    /// Privileges with their columns; none: ALL.
    pub privileges: Vec<(String, Vec<String>)>,
    /// To or from whom.
    pub grantees: Vec<RoleName>,
    /// WITH GRANT OPTION, or GRANT OPTION FOR.
    pub option: bool,
    /// REVOKE ... CASCADE.
    pub cascade: bool,
}

/// What ALTER DEFAULT PRIVILEGES is about.
#[derive(Clone, Debug)]
pub struct DefaultTarget {
    /// Whose objects; none: the current role's.
    pub roles: Vec<RoleName>,
    /// In which schemas; none: in all.
    pub schemas: Vec<String>,
    /// What kind of objects.
    pub kind: Kind,
}

/// Whose owner changes.
#[derive(Clone, Debug)]
pub enum OwnedObject {
    /// A relation, with the word of the statement.
    Relation(&'static str, ObjectName, bool),
    /// A schema.
    Schema(String),
    /// The database.
    Database(String),
}

/// A statement about roles and privileges.
#[derive(Clone, Debug)]
pub enum AccessStatement {
    /// CREATE ROLE, USER, GROUP.
    CreateRole(String, Vec<RoleOption>),
    /// ALTER ROLE.
    AlterRole(RoleName, Vec<RoleOption>),
    /// ALTER ROLE ... SET; without a name RESET ALL, without values RESET.
    SetDefault(RoleName, Option<String>, Option<Vec<String>>),
    /// ALTER ROLE ... RENAME TO.
    RenameRole(String, String),
    /// DROP ROLE.
    DropRoles(Vec<RoleName>, bool),
    /// GRANT role TO role.
    GrantRoles(Vec<String>, Vec<RoleName>, bool),
    /// REVOKE role FROM role; only the ADMIN OPTION.
    RevokeRoles(Vec<String>, Vec<RoleName>, bool),
    /// GRANT, REVOKE.
    Privileges(PrivilegeChange, GrantTarget),
    /// ALTER DEFAULT PRIVILEGES.
    DefaultPrivileges(PrivilegeChange, DefaultTarget),
    /// OWNER TO.
    Owner(OwnedObject, RoleName),
    /// REASSIGN OWNED.
    ReassignOwned(Vec<RoleName>, RoleName),
    /// DROP OWNED.
    DropOwned(Vec<RoleName>, bool),
}

impl AccessStatement {
    /// Whether its text holds a secret.
    pub fn is_secret(&self) -> bool {
        let secret = |options: &[RoleOption]| options.iter().any(|option| matches!(option, RoleOption::Password(Some(_))));
        matches!(self, Self::CreateRole(_, options) | Self::AlterRole(_, options) if secret(options))
    }
}

/// Reads a statement about roles and privileges; `None`, and nothing consumed, if it is another.
pub fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    if let Some(ours) = identity(grammar)? {
        return Ok(Some(ours));
    }
    let statement = match roles(grammar)? {
        Some(statement) => Some(statement),
        None => match default_privileges(grammar)?.map_or_else(|| grants(grammar), |statement| Ok(Some(statement)))? {
            Some(statement) => Some(statement),
            None => owner(grammar)?,
        },
    };
    Ok(statement.map(|statement| Ours::Access(Box::new(statement))))
}

fn identity(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    for (words, local) in [("SET ROLE", false), ("SET SESSION ROLE", false), ("SET LOCAL ROLE", true)] {
        if grammar.accept(words) {
            return Ok(Some(Ours::SetRole { local, role: identity_name(grammar, "NONE")? }));
        }
    }
    for (words, local) in
        [("SET SESSION AUTHORIZATION", false), ("SET LOCAL SESSION AUTHORIZATION", true), ("SET SESSION SESSION AUTHORIZATION", false)]
    {
        if grammar.accept(words) {
            return Ok(Some(Ours::SetSessionAuthorization { local, role: identity_name(grammar, "DEFAULT")? }));
        }
    }
    if grammar.accept("RESET SESSION AUTHORIZATION") {
        return Ok(Some(Ours::SetSessionAuthorization { local: false, role: None }));
    }
    if grammar.accept("RESET ROLE") {
        return Ok(Some(Ours::SetRole { local: false, role: None }));
    }
    Ok(None)
}

fn identity_name(grammar: &mut Grammar<'_>, none: &str) -> Read<Option<String>> {
    if grammar.accept(none) {
        return Ok(None);
    }
    let token = grammar.parser.peek_token();
    if let Token::SingleQuotedString(text) = &token.token {
        grammar.parser.next_token();
        return Ok((!text.eq_ignore_ascii_case(none)).then(|| text.clone()));
    }
    grammar.name().map(Some)
}

fn role_name(grammar: &mut Grammar<'_>) -> Read<RoleName> {
    grammar.accept("GROUP");
    for (word, name) in [
        ("CURRENT_USER", RoleName::Current),
        ("CURRENT_ROLE", RoleName::Current),
        ("SESSION_USER", RoleName::Session),
        ("PUBLIC", RoleName::Public),
    ] {
        if grammar.accept(word) {
            return Ok(name);
        }
    }
    grammar.name().map(RoleName::Named)
}

fn list<T>(grammar: &mut Grammar<'_>, mut one: impl FnMut(&mut Grammar<'_>) -> Read<T>) -> Read<Vec<T>> {
    let mut all = vec![one(grammar)?];
    while grammar.token(&Token::Comma) {
        all.push(one(grammar)?);
    }
    Ok(all)
}

fn plain_name(grammar: &mut Grammar<'_>) -> Read<String> {
    grammar.name()
}

fn roles(grammar: &mut Grammar<'_>) -> Read<Option<AccessStatement>> {
    for word in ["ROLE", "USER", "GROUP"] {
        if word == "USER"
            && (grammar.peek("CREATE USER MAPPING") || grammar.peek("ALTER USER MAPPING") || grammar.peek("DROP USER MAPPING"))
        {
            return Ok(None);
        }
        if grammar.accept(&format!("CREATE {word}")) {
            let name = grammar.name()?;
            grammar.accept("WITH");
            let mut options = if word == "USER" { vec![RoleOption::Login(true)] } else { Vec::new() };
            options.extend(role_options(grammar)?);
            return Ok(Some(AccessStatement::CreateRole(name, options)));
        }
        if grammar.accept(&format!("DROP {word}")) {
            let if_exists = grammar.accept("IF EXISTS");
            return Ok(Some(AccessStatement::DropRoles(list(grammar, role_name)?, if_exists)));
        }
        if grammar.accept(&format!("ALTER {word}")) {
            return alter_role(grammar).map(Some);
        }
    }
    if grammar.accept("REASSIGN OWNED BY") {
        let from = list(grammar, role_name)?;
        grammar.expect("TO")?;
        return Ok(Some(AccessStatement::ReassignOwned(from, role_name(grammar)?)));
    }
    if grammar.accept("DROP OWNED BY") {
        let of = list(grammar, role_name)?;
        return Ok(Some(AccessStatement::DropOwned(of, behavior(grammar))));
    }
    Ok(None)
}

/// Whether CASCADE is written.
fn behavior(grammar: &mut Grammar<'_>) -> bool {
    let cascade = grammar.accept("CASCADE");
    if !cascade {
        grammar.accept("RESTRICT");
    }
    cascade
}

fn alter_role(grammar: &mut Grammar<'_>) -> Read<AccessStatement> {
    let name = role_name(grammar)?;
    if grammar.accept("RENAME TO") {
        let RoleName::Named(from) = name else { return grammar.unexpected("the name of a role") };
        return Ok(AccessStatement::RenameRole(from, grammar.name()?));
    }
    if grammar.accept("ADD USER") {
        return Ok(AccessStatement::AlterRole(name, vec![RoleOption::Role(list(grammar, role_name)?)]));
    }
    if grammar.accept("RESET") {
        let setting = if grammar.accept("ALL") { None } else { Some(grammar.name()?) };
        return Ok(AccessStatement::SetDefault(name, setting, None));
    }
    if grammar.accept("SET") {
        let setting = if grammar.accept("TIME ZONE") { "timezone".to_string() } else { grammar.name()? };
        let _ = grammar.token(&Token::Eq) || grammar.accept("TO");
        let values = grammar.set_values()?;
        return Ok(AccessStatement::SetDefault(name, Some(setting), values));
    }
    grammar.accept("WITH");
    Ok(AccessStatement::AlterRole(name, role_options(grammar)?))
}

fn role_options(grammar: &mut Grammar<'_>) -> Read<Vec<RoleOption>> {
    let mut options = Vec::new();
    while let Some(option) = role_option(grammar)? {
        if options.iter().any(|known| std::mem::discriminant(known) == std::mem::discriminant(&option)) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").into());
        }
        options.push(option);
    }
    let next = grammar.parser.peek_token();
    if let Token::Word(word) = &next.token {
        let mut error = SqlError::new(SqlState::SYNTAX_ERROR, format!("unrecognized role option \"{}\"", word.value.to_lowercase()));
        error = error.at(next.span);
        return Err(error.into());
    }
    Ok(options)
}

type Flag = (&'static str, fn(bool) -> RoleOption);

const FLAGS: [Flag; 7] = [
    ("SUPERUSER", RoleOption::Superuser),
    ("CREATEDB", RoleOption::CreateDb),
    ("CREATEROLE", RoleOption::CreateRole),
    ("INHERIT", RoleOption::Inherit),
    ("LOGIN", RoleOption::Login),
    ("REPLICATION", RoleOption::Replication),
    ("BYPASSRLS", RoleOption::BypassRls),
];

fn role_option(grammar: &mut Grammar<'_>) -> Read<Option<RoleOption>> {
    for (word, option) in FLAGS {
        if grammar.accept(word) {
            return Ok(Some(option(true)));
        }
        if grammar.accept(&format!("NO{word}")) {
            return Ok(Some(option(false)));
        }
    }
    grammar.accept("ENCRYPTED");
    let option = if grammar.accept("CONNECTION LIMIT") {
        RoleOption::ConnectionLimit(grammar.integer()?)
    } else if grammar.accept("PASSWORD NULL") {
        RoleOption::Password(None)
    } else if grammar.accept("PASSWORD") {
        RoleOption::Password(Some(grammar.parser.parse_literal_string()?))
    } else if grammar.accept("VALID UNTIL") {
        RoleOption::ValidUntil(grammar.parser.parse_literal_string()?)
    } else if grammar.accept("IN ROLE") || grammar.accept("IN GROUP") {
        RoleOption::InRole(list(grammar, role_name)?)
    } else if grammar.accept("ROLE") || grammar.accept("USER") {
        RoleOption::Role(list(grammar, role_name)?)
    } else if grammar.accept("ADMIN") {
        RoleOption::Admin(list(grammar, role_name)?)
    } else if grammar.accept("SYSID") {
        grammar.integer()?;
        return role_option(grammar);
    } else {
        return Ok(None);
    };
    Ok(Some(option))
}

fn default_privileges(grammar: &mut Grammar<'_>) -> Read<Option<AccessStatement>> {
    if !grammar.accept("ALTER DEFAULT PRIVILEGES") {
        return Ok(None);
    }
    let (mut roles, mut schemas) = (Vec::new(), Vec::new());
    loop {
        if roles.is_empty() && (grammar.accept("FOR ROLE") || grammar.accept("FOR USER")) {
            roles = list(grammar, role_name)?;
        } else if schemas.is_empty() && grammar.accept("IN SCHEMA") {
            schemas = list(grammar, plain_name)?;
        } else {
            break;
        }
    }
    let grant = grammar.accept("GRANT");
    if !grant {
        grammar.expect("REVOKE")?;
    }
    let option_for = !grant && grammar.accept("GRANT OPTION FOR");
    let privileges = privileges(grammar)?;
    grammar.expect("ON")?;
    let kind = match () {
        () if grammar.accept("TABLES") => Kind::Table,
        () if grammar.accept("SEQUENCES") => Kind::Sequence,
        () if grammar.accept("SCHEMAS") => Kind::Schema,
        () => {
            for word in ["FUNCTIONS", "ROUTINES", "TYPES"] {
                if grammar.peek(word) {
                    return Err(SqlError::unsupported(format!("ALTER DEFAULT PRIVILEGES ON {word}")).into());
                }
            }
            return grammar.unexpected("TABLES, SEQUENCES or SCHEMAS");
        }
    };
    let change = privilege_change(grammar, grant, privileges, option_for)?;
    Ok(Some(AccessStatement::DefaultPrivileges(change, DefaultTarget { roles, schemas, kind })))
}

/// ALL, or names with their columns.
fn privileges(grammar: &mut Grammar<'_>) -> Read<Vec<(String, Vec<String>)>> {
    if grammar.accept("ALL") {
        grammar.accept("PRIVILEGES");
        if grammar.token(&Token::LParen) {
            return Ok(vec![("all".to_string(), super::grammar::column_names(grammar)?)]);
        }
        return Ok(Vec::new());
    }
    list(grammar, |grammar| {
        // SELECT, CREATE and the like are words that no name may be.
        let token = grammar.parser.next_token();
        let Token::Word(word) = &token.token else { return Ok(grammar.parser.expected("a privilege", token)?) };
        let name = fold(&word.clone().into_ident(token.span));
        let columns = if grammar.token(&Token::LParen) { super::grammar::column_names(grammar)? } else { Vec::new() };
        Ok((name, columns))
    })
}

fn grants(grammar: &mut Grammar<'_>) -> Read<Option<AccessStatement>> {
    let grant = grammar.accept("GRANT");
    if !grant && !grammar.accept("REVOKE") {
        return Ok(None);
    }
    let option_for = !grant && grammar.accept("GRANT OPTION FOR");
    let admin_for = !grant && grammar.accept("ADMIN OPTION FOR");
    let privileges = privileges(grammar)?;
    if grammar.accept("ON") {
        let target = grant_target(grammar)?;
        let change = privilege_change(grammar, grant, privileges, option_for)?;
        return Ok(Some(AccessStatement::Privileges(change, target)));
    }
    let roles = privileges.into_iter().map(|(name, _)| name).collect();
    grammar.expect(if grant { "TO" } else { "FROM" })?;
    let members = list(grammar, role_name)?;
    let admin = grant && (grammar.accept("WITH ADMIN OPTION") || grammar.accept("WITH ADMIN TRUE"));
    granted_by(grammar)?;
    if grant {
        return Ok(Some(AccessStatement::GrantRoles(roles, members, admin)));
    }
    behavior(grammar);
    Ok(Some(AccessStatement::RevokeRoles(roles, members, admin_for)))
}

fn granted_by(grammar: &mut Grammar<'_>) -> Read<()> {
    if grammar.accept("GRANTED BY") {
        role_name(grammar)?;
    }
    Ok(())
}

fn privilege_change(grammar: &mut Grammar<'_>, grant: bool, privileges: Vec<(String, Vec<String>)>, option: bool) -> Read<PrivilegeChange> {
    grammar.expect(if grant { "TO" } else { "FROM" })?;
    let grantees = list(grammar, role_name)?;
    let option = option || (grant && grammar.accept("WITH GRANT OPTION"));
    granted_by(grammar)?;
    let cascade = !grant && behavior(grammar);
    Ok(PrivilegeChange { grant, privileges, grantees, option, cascade })
}

fn grant_target(grammar: &mut Grammar<'_>) -> Read<GrantTarget> {
    if grammar.accept("ALL TABLES IN SCHEMA") {
        return Ok(GrantTarget::AllTables(list(grammar, plain_name)?));
    }
    if grammar.accept("ALL SEQUENCES IN SCHEMA") {
        return Ok(GrantTarget::AllSequences(list(grammar, plain_name)?));
    }
    if grammar.accept("SCHEMA") {
        return Ok(GrantTarget::Schemas(list(grammar, plain_name)?));
    }
    if grammar.accept("DATABASE") {
        return Ok(GrantTarget::Databases(list(grammar, plain_name)?));
    }
    if grammar.accept("SEQUENCE") {
        return Ok(GrantTarget::Sequences(list(grammar, |grammar| grammar.object_name())?));
    }
    for word in ["FUNCTION", "PROCEDURE", "ROUTINE", "LANGUAGE", "TYPE", "DOMAIN", "TABLESPACE", "LARGE", "FOREIGN", "PARAMETER", "ALL"] {
        if grammar.peek(word) {
            return Err(SqlError::unsupported(format!("GRANT ON {word}")).into());
        }
    }
    grammar.accept("TABLE");
    Ok(GrantTarget::Tables(list(grammar, |grammar| grammar.object_name())?))
}

/// ALTER ... OWNER TO; looks ahead before it takes a statement for its own.
fn owner(grammar: &mut Grammar<'_>) -> Read<Option<AccessStatement>> {
    if !grammar.peek("ALTER") || !(grammar.ends_with("OWNER TO")) {
        return Ok(None);
    }
    let kinds = ["TABLE", "VIEW", "SEQUENCE"];
    let Some(kind) = kinds.into_iter().find(|kind| grammar.peek(&format!("ALTER {kind}"))) else {
        let schema = grammar.accept("ALTER SCHEMA");
        if !schema && !grammar.accept("ALTER DATABASE") {
            return Ok(None);
        }
        let name = grammar.name()?;
        grammar.expect("OWNER TO")?;
        let object = if schema { OwnedObject::Schema(name) } else { OwnedObject::Database(name) };
        return Ok(Some(AccessStatement::Owner(object, role_name(grammar)?)));
    };
    grammar.expect(&format!("ALTER {kind}"))?;
    let if_exists = grammar.accept("IF EXISTS");
    grammar.accept("ONLY");
    let name = grammar.object_name()?;
    grammar.expect("OWNER TO")?;
    Ok(Some(AccessStatement::Owner(OwnedObject::Relation(kind, name, if_exists), role_name(grammar)?)))
}
