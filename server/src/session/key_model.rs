//! Random statements on tables with foreign keys, beside a naive model of what PostgreSQL does.
#![allow(clippy::unwrap_used)]

use super::Session;
use super::tests::{Server, run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Nothing,
    Cascade,
    SetNull,
}

impl Action {
    fn sql(self) -> &'static str {
        match self {
            Self::Nothing => "no action",
            Self::Cascade => "cascade",
            Self::SetNull => "set null",
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    AddKey(i32),
    AddRow(i32, Option<i32>),
    AddLeaf(Option<i32>),
    DropKeys(i32, i32),
    Renumber(i32, i32),
    Shift(i32),
    Point(i32, Option<i32>),
    DropRow(i32),
}

/// `p(id)`, `c(id, pid -> p)`, `g(cid -> c)`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    p: Vec<i32>,
    c: Vec<(i32, Option<i32>)>,
    g: Vec<Option<i32>>,
}

impl Model {
    fn drop_keys(&mut self, gone: &[i32], on_delete: Action) -> bool {
        self.p.retain(|id| !gone.contains(id));
        let refers = |pid: &Option<i32>| pid.is_some_and(|pid| gone.contains(&pid));
        match on_delete {
            Action::Nothing => return !self.c.iter().any(|(_, pid)| refers(pid)),
            Action::Cascade => {
                let rows: Vec<i32> = self.c.iter().filter(|(_, pid)| refers(pid)).map(|(id, _)| *id).collect();
                self.drop_rows(&rows);
            }
            Action::SetNull => self.c.iter_mut().filter(|(_, pid)| refers(pid)).for_each(|(_, pid)| *pid = None),
        }
        true
    }

    fn drop_rows(&mut self, gone: &[i32]) {
        self.c.retain(|(id, _)| !gone.contains(id));
        self.g.retain(|cid| !cid.is_some_and(|cid| gone.contains(&cid)));
    }

    fn renumber(&mut self, renamed: &[(i32, i32)], on_update: Action) -> bool {
        let new = |id: i32| renamed.iter().find(|(from, _)| *from == id).map(|(_, to)| *to);
        self.p.iter_mut().for_each(|id| *id = new(*id).unwrap_or(*id));
        self.p.sort_unstable();
        if self.p.windows(2).any(|pair| pair[0] == pair[1]) {
            return false;
        }
        let present = self.p.clone();
        for (_, pid) in &mut self.c {
            let Some(to) = pid.and_then(new) else { continue };
            match on_update {
                Action::Nothing if pid.is_some_and(|pid| present.contains(&pid)) => {}
                Action::Nothing => return false,
                Action::Cascade => *pid = Some(to),
                Action::SetNull => *pid = None,
            }
        }
        true
    }

    /// Whether the statement goes through.
    fn step(&mut self, step: &Step, on_delete: Action, on_update: Action) -> bool {
        let known = |model: &Self, pid: &Option<i32>| pid.is_none_or(|pid| model.p.contains(&pid));
        match step {
            Step::AddKey(id) => {
                let is_new = !self.p.contains(id);
                self.p.push(*id);
                is_new
            }
            Step::AddRow(id, pid) => {
                let fits = !self.c.iter().any(|(other, _)| other == id) && known(self, pid);
                self.c.push((*id, *pid));
                fits
            }
            Step::AddLeaf(cid) => {
                self.g.push(*cid);
                cid.is_none_or(|cid| self.c.iter().any(|(id, _)| *id == cid))
            }
            Step::DropKeys(from, to) => {
                let gone: Vec<i32> = self.p.iter().copied().filter(|id| (*from..=*to).contains(id)).collect();
                self.drop_keys(&gone, on_delete)
            }
            Step::Renumber(from, to) => match self.p.contains(from) && from != to {
                true => self.renumber(&[(*from, *to)], on_update),
                false => true,
            },
            Step::Shift(by) => {
                let renamed: Vec<_> = self.p.iter().filter(|_| *by != 0).map(|id| (*id, id + by)).collect();
                self.renumber(&renamed, on_update)
            }
            Step::Point(id, pid) => {
                let fits = known(self, pid) || !self.c.iter().any(|(other, _)| other == id);
                self.c.iter_mut().filter(|(other, _)| other == id).for_each(|(_, own)| *own = *pid);
                fits
            }
            Step::DropRow(id) => {
                self.drop_rows(&[*id]);
                true
            }
        }
    }

    fn shown(&self) -> String {
        let number = |value: &Option<i32>| value.map_or("n".to_string(), |value| value.to_string());
        let (mut p, mut c, mut g) = (self.p.clone(), self.c.clone(), self.g.iter().map(number).collect::<Vec<_>>());
        p.sort_unstable();
        c.sort_unstable();
        g.sort();
        let c: Vec<String> = c.iter().map(|(id, pid)| format!("{id}:{}", number(pid))).collect();
        format!("{p:?} {} {}", c.join(","), g.join(","))
    }
}

fn value(of: Option<i32>) -> String {
    of.map_or("null".to_string(), |value| value.to_string())
}

fn sql(step: &Step) -> String {
    match step {
        Step::AddKey(id) => format!("insert into p values ({id})"),
        Step::AddRow(id, pid) => format!("insert into c values ({id}, {})", value(*pid)),
        Step::AddLeaf(cid) => format!("insert into g values ({})", value(*cid)),
        Step::DropKeys(from, to) => format!("delete from p where id between {from} and {to}"),
        Step::Renumber(from, to) => format!("update p set id = {to} where id = {from}"),
        Step::Shift(by) => format!("update p set id = id + {by}"),
        Step::Point(id, pid) => format!("update c set pid = {} where id = {id}", value(*pid)),
        Step::DropRow(id) => format!("delete from c where id = {id}"),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..6i32;
    let maybe = || prop_oneof![1 => Just(None), 5 => (0..6i32).prop_map(Some)];
    let step = prop_oneof![
        3 => key().prop_map(Step::AddKey),
        4 => (0..12i32, maybe()).prop_map(|(id, pid)| Step::AddRow(id, pid)),
        2 => prop_oneof![1 => Just(None), 6 => (0..12i32).prop_map(Some)].prop_map(Step::AddLeaf),
        2 => (key(), 0..2i32).prop_map(|(from, more)| Step::DropKeys(from, from + more)),
        2 => (key(), key()).prop_map(|(from, to)| Step::Renumber(from, to)),
        1 => (-1..2i32).prop_map(Step::Shift),
        2 => (0..12i32, maybe()).prop_map(|(id, pid)| Step::Point(id, pid)),
        1 => (0..12i32).prop_map(Step::DropRow),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The tables in the form of [`Model::shown`].
async fn shown(session: &mut Session) -> String {
    let mut all = Vec::new();
    for query in [
        "select id from p order by id",
        "select id::text || ':' || coalesce(pid::text, 'n') from c order by id",
        "select coalesce(cid::text, 'n') from g order by 1",
    ] {
        all.push(run(session, query).await.unwrap());
    }
    format!("[{}] {} {}", all[0].replace("; ", ", "), all[1].replace("; ", ","), all[2].replace("; ", ","))
}

async fn agrees(steps: &[Step], on_delete: Action, on_update: Action, in_block: bool) {
    let server = Server::new().await;
    let mut session = server.session();
    let tables = format!(
        "create table p (id int primary key); create table c (id int primary key, pid int references p on delete {} on update {}); \
         create table g (cid int references c on delete cascade)",
        on_delete.sql(),
        on_update.sql()
    );
    run(&mut session, &tables).await.unwrap();
    let mut model = Model::default();
    if in_block {
        run(&mut session, "begin").await.unwrap();
    }
    for step in steps {
        let mut next = model.clone();
        let goes_through = next.step(step, on_delete, on_update);
        if in_block {
            run(&mut session, "savepoint s").await.unwrap();
        }
        let outcome = run(&mut session, &sql(step)).await;
        assert_eq!(outcome.is_ok(), goes_through, "{step:?} on {}: {outcome:?}", model.shown());
        match outcome {
            Ok(_) => model = next,
            Err(_) if in_block => _ = run(&mut session, "rollback to s").await.unwrap(),
            Err(_) => {}
        }
        assert_eq!(shown(&mut session).await, model.shown(), "after {step:?}");
    }
}

#[test]
fn random_statements_do_what_a_naive_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let action = || prop_oneof![Just(Action::Nothing), Just(Action::Cascade), Just(Action::SetNull)];
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let any = (steps(), action(), action(), any::<bool>());
    let ran = runner.run(&any, |(steps, on_delete, on_update, in_block)| {
        runtime.block_on(agrees(&steps, on_delete, on_update, in_block));
        Ok(())
    });
    ran.unwrap();
}
