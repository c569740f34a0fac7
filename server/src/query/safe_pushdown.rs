//! DataFusion's physical rules that push filters down find columns by name, and take the first of two that share one: rows are lost.
//! Here such a rule works only on parts of a plan in which no operator reads two columns of one name.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use std::collections::HashSet;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's rules, those that push filters kept to where they are right.
pub fn rules(given: Vec<Rule>) -> Vec<Rule> {
    let careful = |rule: Rule| match rule.name().starts_with("FilterPushdown") {
        true => Arc::new(ByUniqueNames { rule }) as Rule,
        false => rule,
    };
    given.into_iter().map(careful).collect()
}

struct ByUniqueNames {
    rule: Rule,
}

impl std::fmt::Debug for ByUniqueNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.rule.name())
    }
}

impl PhysicalOptimizerRule for ByUniqueNames {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.children().iter().all(|child| is_unique(child)) {
            return self.rule.optimize(plan, config);
        }
        let children = plan.children().into_iter().map(|child| self.optimize(Arc::clone(child), config)).collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(plan, children)
    }
    fn name(&self) -> &str {
        self.rule.name()
    }
    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// Whether no operator of a plan puts out two columns of one name.
fn is_unique(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::new();
    schema.fields().iter().all(|field| names.insert(field.name().as_str())) && plan.children().into_iter().all(is_unique)
}
