//! Rules of access, in the form of PostgreSQL's `pg_hba.conf`: the first that matches a client decides.
//!
//! ```text
//! # type    database  user        address        method
//! hostssl   all       all         0.0.0.0/0      scram-sha-256
//! host      all       plimsoll    127.0.0.1/32   trust
//! host      all       +readers    all            reject
//! ```

use super::role::SUPERUSER;
use std::net::{IpAddr, SocketAddr};

/// Rules in one file, at most.
const RULES_MAX: usize = 10_000;

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It need not.
    Trust,
    /// By a password.
    Scram,
    /// By being the server's own user on this machine; everybody else by a password.
    Peer,
    /// It may not come in at all.
    Reject,
}

/// Which connections a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Any,
    Encrypted,
    Plain,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    All,
    SameUser,
    SameRole,
    MemberOf(String),
    Is(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    All,
    Network(IpAddr, u8),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    transport: Transport,
    databases: Vec<Name>,
    users: Vec<Name>,
    address: Address,
    method: Method,
}

/// All rules, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// Who asks to come in.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// As whom.
    pub user: &'a str,
    /// To where.
    pub database: &'a str,
    /// From where.
    pub client: SocketAddr,
    /// Our end of the connection.
    pub server: SocketAddr,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
}

impl Rules {
    /// Everybody by password.
    pub fn passwords() -> Self {
        Self(vec![Rule::of(Address::All, Method::Scram)])
    }

    /// The first superuser as the server's own user on this machine; everybody else by password.
    pub fn peer() -> Self {
        let own = loopback().map(|address| Rule { users: vec![Name::Is(SUPERUSER.to_string())], ..Rule::of(address, Method::Peer) });
        Self(own.into_iter().chain(Self::passwords().0).collect())
    }

    /// Everybody on this machine, and nobody else.
    pub fn trust_loopback() -> Self {
        Self(loopback().map(|address| Rule::of(address, Method::Trust)).into())
    }

    /// Reads a file; the error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let fields = fields(line);
            if fields.is_empty() {
                continue;
            }
            rules.push(rule(&fields).map_err(|error| format!("line {}: {error}", number + 1))?);
            if rules.len() > RULES_MAX {
                return Err(format!("there are more than {RULES_MAX} rules"));
            }
        }
        Ok(Self(rules))
    }

    /// The method of the first rule that matches; `is_member` says whether the user is a member of a role.
    pub fn method(&self, candidate: &Candidate<'_>, is_member: impl Fn(&str) -> bool) -> Option<Method> {
        self.0.iter().find(|rule| rule.matches(candidate, &is_member)).map(|rule| rule.method)
    }
}

/// The addresses of this machine.
fn loopback() -> [Address; 2] {
    let network = |address: &str, bits| Address::Network(address.parse().expect("the address is well formed"), bits);
    [network("127.0.0.0", 8), network("::1", 128)]
}

impl Rule {
    fn of(address: Address, method: Method) -> Self {
        Self { transport: Transport::Any, databases: vec![Name::All], users: vec![Name::All], address, method }
    }

    fn matches(&self, candidate: &Candidate<'_>, is_member: &impl Fn(&str) -> bool) -> bool {
        let transport = match self.transport {
            Transport::Any => true,
            Transport::Encrypted => candidate.encrypted,
            Transport::Plain => !candidate.encrypted,
        };
        let database = |name: &Name| match name {
            Name::All => true,
            Name::SameUser => candidate.database == candidate.user,
            Name::SameRole => is_member(candidate.database),
            Name::Is(name) | Name::MemberOf(name) => name == candidate.database,
        };
        let user = |name: &Name| match name {
            Name::All => true,
            Name::MemberOf(role) => is_member(role),
            Name::Is(name) => name == candidate.user,
            Name::SameUser | Name::SameRole => false,
        };
        transport && self.databases.iter().any(database) && self.users.iter().any(user) && self.address.holds(candidate.client.ip())
    }
}

impl Address {
    /// Whether it holds addresses of this machine only.
    fn is_loopback(self) -> bool {
        match self {
            Self::All => false,
            Self::Network(IpAddr::V4(network), bits) => network.is_loopback() && bits >= 8,
            Self::Network(IpAddr::V6(network), bits) => network.is_loopback() && bits == 128,
        }
    }

    fn holds(self, client: IpAddr) -> bool {
        match (self, client.to_canonical()) {
            (Self::All, _) => true,
            (Self::Network(IpAddr::V4(network), bits), IpAddr::V4(client)) => {
                let shift = 32 - u32::from(bits);
                u32::from(network).checked_shr(shift) == u32::from(client).checked_shr(shift)
            }
            (Self::Network(IpAddr::V6(network), bits), IpAddr::V6(client)) => {
                let shift = 128 - u32::from(bits);
                u128::from(network).checked_shr(shift) == u128::from(client).checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// A field, and whether it was quoted: a quoted word has no special meaning.
type Field = Vec<(String, bool)>;

/// The fields of a line, each a list; what follows a `#` is a comment.
fn fields(line: &str) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut continues = false;
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        if let Some(after) = rest.strip_prefix(',') {
            continues = true;
            rest = after.trim_start();
            continue;
        }
        let (word, quoted, after) = match rest.strip_prefix('"') {
            Some(inner) => inner.split_once('"').map_or((inner, true, ""), |(word, after)| (word, true, after)),
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == ',' || c == '#').unwrap_or(rest.len());
                (&rest[..end], false, &rest[end..])
            }
        };
        match fields.last_mut().filter(|_| continues) {
            Some(list) => list.push((word.to_string(), quoted)),
            None => fields.push(vec![(word.to_string(), quoted)]),
        }
        continues = false;
        rest = after.trim_start();
    }
    fields
}

fn rule(fields: &[Field]) -> Result<Rule, String> {
    let word = |field: &Field| field.first().map(|(word, _)| word.clone()).unwrap_or_default();
    let transport = match word(&fields[0]).as_str() {
        "host" => Transport::Any,
        "hostssl" => Transport::Encrypted,
        "hostnossl" => Transport::Plain,
        "local" => return Err("\"local\" is not supported: there are no sockets in the file system".into()),
        other => return Err(format!("invalid connection type \"{other}\"")),
    };
    let [_, databases, users, address, rest @ ..] = fields else { return Err("end-of-line before the address".into()) };
    let (address, method) = match rest {
        [method] => (network(&word(address))?, word(method)),
        [mask, method] => (masked(&word(address), &word(mask))?, word(method)),
        [] => return Err("end-of-line before authentication method".into()),
        _ => return Err("authentication options are not supported".into()),
    };
    let method = match method.as_str() {
        "trust" => Method::Trust,
        "scram-sha-256" => Method::Scram,
        "reject" => Method::Reject,
        other => return Err(format!("invalid authentication method \"{other}\": trust, scram-sha-256 and reject are supported")),
    };
    if method == Method::Trust && !address.is_loopback() {
        return Err(
            "\"trust\" lets everybody in, so it is for loopback addresses only: 127.0.0.1/32, ::1/128, or a part of 127.0.0.0/8".into()
        );
    }
    Ok(Rule { transport, databases: databases.iter().map(name).collect(), users: users.iter().map(name).collect(), address, method })
}

fn name((word, quoted): &(String, bool)) -> Name {
    match word.as_str() {
        _ if *quoted => Name::Is(word.clone()),
        "all" => Name::All,
        "sameuser" => Name::SameUser,
        "samerole" | "samegroup" => Name::SameRole,
        word => word.strip_prefix('+').map_or_else(|| Name::Is(word.to_string()), |role| Name::MemberOf(role.to_string())),
    }
}

fn network(text: &str) -> Result<Address, String> {
    if text == "all" {
        return Ok(Address::All);
    }
    let (address, bits) = text.split_once('/').ok_or_else(|| format!("\"{text}\" is no network: write address/bits, or all"))?;
    let address: IpAddr = address.parse().map_err(|_| format!("invalid IP address \"{address}\""))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(|| format!("invalid CIDR mask in address \"{text}\""))?;
    Ok(Address::Network(address, bits))
}

fn masked(address: &str, mask: &str) -> Result<Address, String> {
    let parsed: IpAddr = address.parse().map_err(|_| format!("invalid IP address \"{address}\""))?;
    let mask: IpAddr = mask.parse().map_err(|_| format!("invalid IP mask \"{mask}\""))?;
    let bits = match (parsed, mask) {
        (IpAddr::V4(_), IpAddr::V4(mask)) => u32::from(mask).leading_ones(),
        (IpAddr::V6(_), IpAddr::V6(mask)) => u128::from(mask).leading_ones(),
        _ => return Err("IP address and mask do not match".into()),
    };
    Ok(Address::Network(parsed, bits as u8))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5432);

    fn ask(rules: &str, user: &str, client: &str, encrypted: bool) -> Option<Method> {
        let candidate =
            Candidate { user, database: "plimsoll", client: SocketAddr::new(client.parse().unwrap(), 9), server: SERVER, encrypted };
        Rules::parse(rules).unwrap().method(&candidate, |role| role == "staff" && user == "ann")
    }

    #[test]
    fn the_first_that_matches_decides() {
        let rules = "# comment\nhostssl all ann,\"bob\" 10.0.0.0/8 scram-sha-256\nhost plimsoll +staff all reject # no\n\
                     hostnossl all all 127.0.0.1 255.0.0.0 trust\nhost all all ::1/128 trust\n";
        assert_eq!(ask(rules, "ann", "10.9.9.9", true), Some(Method::Scram));
        assert_eq!(ask(rules, "ann", "10.9.9.9", false), Some(Method::Reject));
        assert_eq!(ask(rules, "bob", "10.9.9.9", true), Some(Method::Scram));
        assert_eq!(ask(rules, "bob", "11.9.9.9", true), None);
        assert_eq!(ask(rules, "bob", "127.3.0.1", false), Some(Method::Trust));
        assert_eq!(ask(rules, "bob", "::ffff:127.0.0.1", false), Some(Method::Trust));
        assert_eq!(ask(rules, "bob", "::1", false), Some(Method::Trust));
        assert_eq!(ask("host all all 0.0.0.0/0 reject", "bob", "1.2.3.4", false), Some(Method::Reject));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, word) in [
            ("local all all trust", "local"),
            ("host all all all md5", "md5"),
            ("host all all 1.2.3.4/33 trust", "CIDR"),
            ("host all all 1.2.3.4 trust", "network"),
            ("host all", "end-of-line"),
            ("hosts all all all trust", "hosts"),
            ("host all all all trust", "loopback"),
            ("host all all 0.0.0.0/0 trust", "loopback"),
            ("host all all 127.0.0.0/7 trust", "loopback"),
            ("host all all 10.0.0.1/32 trust", "loopback"),
            ("hostssl all all ::/0 trust", "loopback"),
            ("host all all ::1/127 trust", "loopback"),
        ] {
            let error = Rules::parse(&format!("# first\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_defaults() {
        let candidate =
            |client: &str| Candidate { user: "u", database: "d", client: client.parse().unwrap(), server: SERVER, encrypted: false };
        assert_eq!(Rules::passwords().method(&candidate("8.8.8.8:1"), |_| false), Some(Method::Scram));
        let superuser = |client: &str| Candidate { user: SUPERUSER, ..candidate(client) };
        assert_eq!(Rules::peer().method(&superuser("127.0.0.1:1"), |_| false), Some(Method::Peer));
        assert_eq!(Rules::peer().method(&superuser("8.8.8.8:1"), |_| false), Some(Method::Scram));
        assert_eq!(Rules::peer().method(&candidate("127.0.0.1:1"), |_| false), Some(Method::Scram));
        assert_eq!(Rules::trust_loopback().method(&candidate("8.8.8.8:1"), |_| false), None);
        assert_eq!(Rules::trust_loopback().method(&candidate("[::1]:1"), |_| false), Some(Method::Trust));
    }
}
