//! Settings that not everybody sees: they tell of the machine that the server runs on.

use crate::access::rights::Rights;
use crate::access::role::READ_ALL_SETTINGS_OID;
use crate::error::{Result, SqlError, SqlState};

/// Those of PostgreSQL that this server has.
const CONFIDENTIAL: [&str; 9] = [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "log_directory",
    "log_filename",
    "shared_preload_libraries",
    "unix_socket_directories",
];

/// 42501 if a setting is not for this role.
pub fn check(name: &str, rights: &Rights<'_>) -> Result<()> {
    match CONFIDENTIAL.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(name) if !rights.has_role(READ_ALL_SETTINGS_OID) => {
            let message = format!("must be superuser or have privileges of pg_read_all_settings to examine \"{name}\"");
            Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn paths_are_for_those_who_may_see_them() {
        let catalog = Catalog::default();
        let nobody = Rights::of(&catalog, "ghost");
        assert!(check("Data_Directory", &nobody).is_err_and(|error| error.state.0 == "42501"));
        assert!(check("work_mem", &nobody).is_ok() && check("no_such_thing", &nobody).is_ok());
    }
}
