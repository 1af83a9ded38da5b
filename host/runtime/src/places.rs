//! Who may have how much of the pool: places of instances, of memories and of tables, over all plugins but storages. Without
//! one no call of any plugin ends well, so that what is kept for it is its own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Component;

use crate::limits;

/// What the pool has for plugins that are no storages.
pub(crate) struct Places {
    instances: Arc<Semaphore>,
    memories: Arc<Semaphore>,
    tables: Arc<Semaphore>,
}

/// What one instance takes of the pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    memories: u32,
    tables: u32,
}

/// What an instance holds of the pool, until it is dropped.
pub(crate) type Place = [OwnedSemaphorePermit; 3];

impl Needs {
    /// A component that does not say, since it imports modules, is taken for a common one.
    pub(crate) fn of(component: &Component) -> Self {
        let needs = component.resources_required();
        Self {
            memories: needs.as_ref().map_or(1, |needs| needs.num_memories),
            tables: needs.as_ref().map_or(2, |needs| needs.num_tables),
        }
    }

    /// Instances of the component that may be at once: half of the pool at most, whatever they are made of.
    pub(crate) fn share(self) -> usize {
        let half = |pool: u32, each: u32| pool / 2 / each.max(1);
        let memories = half(limits::POOL_INSTANCES, self.memories);
        memories.min(half(limits::POOL_TABLES, self.tables)).max(1) as usize
    }
}

impl Places {
    pub(crate) fn new() -> Self {
        let rest = |pool: u32, each: u32| Arc::new(Semaphore::new((pool - limits::STORAGE_INSTANCES * each) as usize));
        Self {
            instances: rest(limits::POOL_INSTANCES, 1),
            memories: rest(limits::POOL_INSTANCES, 1),
            tables: rest(limits::POOL_TABLES, limits::POOL_TABLES / limits::POOL_INSTANCES),
        }
    }

    /// A place for one more instance; none where something of it is taken.
    pub(crate) fn take(&self, needs: Needs) -> Option<Place> {
        let take = |of: &Arc<Semaphore>, many| Arc::clone(of).try_acquire_many_owned(many).ok();
        Some([
            take(&self.instances, 1)?,
            take(&self.memories, needs.memories)?,
            take(&self.tables, needs.tables)?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_many_tables_leave_alone_what_storages_need() {
        let places = Places::new();
        let needs = Needs {
            memories: 1,
            tables: 127,
        };
        let held: Vec<_> = std::iter::from_fn(|| places.take(needs)).collect();
        let tables = held.len() * 127;
        let kept = 2 * limits::STORAGE_INSTANCES as usize;
        assert!(tables + kept <= limits::POOL_TABLES as usize, "{tables}");
        assert!(needs.share() * 127 * 2 <= limits::POOL_TABLES as usize);
        drop(held);
        assert!(places.take(needs).is_some(), "what was taken is given back");
    }

    #[test]
    fn instances_of_many_memories_do_as_well() {
        let places = Places::new();
        let needs = Needs { memories: 8, tables: 1 };
        let held: Vec<_> = std::iter::from_fn(|| places.take(needs)).collect();
        assert!(held.len() * 8 + limits::STORAGE_INSTANCES as usize <= limits::POOL_INSTANCES as usize);
    }
}
