//! Classes as reconciles need them: read and understood once for each version of a class, and not once more for each of
//! the thousands of objects that it may serve.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;

use super::context::GuardedClass;
use crate::api::MlServiceRoleClass;
use crate::guard::{self, ClassRules, Refusal};

/// A class that can be read.
pub struct KnownClass {
    /// What it says.
    pub class: MlServiceRoleClass,
    /// What that means, or why it is refused.
    pub rules: Result<Arc<ClassRules>, Refusal>,
    cached: Arc<GuardedClass>,
}

/// By name, of each class the version that was asked for last.
#[derive(Default)]
pub struct KnownClasses(Mutex<HashMap<String, Arc<KnownClass>>>);

impl KnownClasses {
    /// A class as it lies in the cache. The error says why it can't be read.
    pub fn of(&self, cached: &Arc<GuardedClass>) -> Result<Arc<KnownClass>, String> {
        let name = cached.name_any();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A watch puts a new one in the cache for whatever changes.
        if let Some(known) = all.get(&name).filter(|known| Arc::ptr_eq(&known.cached, cached)) {
            return Ok(Arc::clone(known));
        }
        let class = cached.read().map_err(|invalid| invalid.error)?;
        let rules = guard::understand(&name, &class.spec).map(Arc::new);
        let known = Arc::new(KnownClass {
            class,
            rules,
            cached: Arc::clone(cached),
        });
        all.insert(name, Arc::clone(&known));
        Ok(known)
    }

    /// Forgets all other classes than these.
    pub fn retain(&self, is_kept: impl Fn(&str) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, _| is_kept(name));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cached(spec: Value) -> Arc<GuardedClass> {
        let class = json!({
            "apiVersion": "mlservicerole.io/v1alpha1",
            "kind": "MlServiceRoleClass",
            "metadata": {"name": "ml"},
            "spec": spec,
        });
        Arc::new(serde_json::from_value(class).unwrap())
    }

    fn with_sessions_of(seconds: u32) -> Arc<GuardedClass> {
        cached(json!({
            "roles": {"permissionsBoundary": {"none": {}}, "maxSessionDurationSeconds": seconds},
            "allow": {"namespaces": {}},
        }))
    }

    fn longest_session(known: &KnownClass) -> u32 {
        known.rules.as_ref().unwrap().max_session_duration_seconds
    }

    #[test]
    fn a_class_is_understood_once_for_each_version_and_again_after_each_change() {
        let classes = KnownClasses::default();
        let (wide, narrow) = (with_sessions_of(7200), with_sessions_of(3600));
        let known = classes.of(&wide).unwrap();
        assert!(Arc::ptr_eq(&known, &classes.of(&wide).unwrap()));
        assert_eq!(longest_session(&known), 7200);
        assert_eq!(longest_session(&classes.of(&narrow).unwrap()), 3600);
    }

    #[test]
    fn a_class_that_cannot_be_read_is_not_taken_for_the_one_before() {
        let classes = KnownClasses::default();
        classes.of(&with_sessions_of(3600)).unwrap();
        let error = classes.of(&cached(json!({"roles": 1}))).err().unwrap();
        assert!(error.contains("invalid type"), "{error}");
        classes.retain(|name| name != "ml");
        assert!(classes.0.lock().unwrap().is_empty());
    }
}
