//! What a run came to.

use std::fmt;
use std::path::PathBuf;

/// The outcome of one file.
#[derive(Debug)]
pub struct FileReport {
    /// The file.
    pub file: PathBuf,
    /// Records sent to the server: statements and queries that no condition skipped.
    pub records: usize,
    /// Records that a condition skipped.
    pub skipped: usize,
    /// What failed, each with its place in the file, in the file's order.
    pub failures: Vec<String>,
    /// How long the file took.
    pub milliseconds: u128,
}

/// The outcome of a run over files.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each file, in the order of their paths.
    pub files: Vec<FileReport>,
}

impl Report {
    /// Records sent to the server.
    pub fn records(&self) -> usize {
        self.files.iter().map(|file| file.records).sum()
    }

    /// Records that conditions skipped.
    pub fn skipped(&self) -> usize {
        self.files.iter().map(|file| file.skipped).sum()
    }

    /// Records (or files as a whole) that failed.
    pub fn failed(&self) -> usize {
        self.files.iter().map(|file| file.failures.len()).sum()
    }

    /// True if nothing failed. A filter may have left nothing to run.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let verdict = if file.failures.is_empty() { "ok    " } else { "FAILED" };
            let failed = file.failures.len();
            writeln!(f, "{verdict} {} ({} records, {failed} failed, {} ms)", file.file.display(), file.records, file.milliseconds)?;
        }
        for failure in self.files.iter().flat_map(|file| &file.failures) {
            writeln!(f, "\n{}", failure.trim_end())?;
        }
        write!(f, "{} files, {} records, {} failed, {} skipped", self.files.len(), self.records(), self.failed(), self.skipped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(records: usize, failures: &[&str]) -> FileReport {
        let failures = failures.iter().map(|f| f.to_string()).collect();
        FileReport { file: "a/b.slt".into(), records, skipped: 1, failures, milliseconds: 5 }
    }

    #[test]
    fn one_failure_fails_the_run() {
        assert!(Report { files: vec![file(3, &[])] }.passed());
        assert!(!Report { files: vec![file(3, &[]), file(3, &["no"])] }.passed());
    }

    #[test]
    fn the_text_names_files_failures_and_totals() {
        let text = Report { files: vec![file(3, &[]), file(4, &["wrong\nat a/b.slt:7\n"])] }.to_string();
        assert_eq!(
            text,
            "ok     a/b.slt (3 records, 0 failed, 5 ms)\nFAILED a/b.slt (4 records, 1 failed, 5 ms)\n\
             \nwrong\nat a/b.slt:7\n2 files, 7 records, 1 failed, 2 skipped"
        );
    }
}
