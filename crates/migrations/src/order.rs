//! The order of what comes before what.

use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// What comes before it is being placed.
    Open,
    Placed,
    /// It is in a circle, or comes after one.
    Circular,
}

/// Each behind its parents, otherwise in the order of the keys; and those that no order can have.
/// Without recursion: a project may have thousands in one line.
pub(crate) fn in_order<K: Ord + Copy>(
    keys: impl Iterator<Item = K>,
    parents: impl Fn(K) -> Vec<K>,
) -> (Vec<K>, Vec<K>) {
    let mut marks: BTreeMap<K, Mark> = BTreeMap::new();
    let (mut order, mut circular) = (Vec::new(), Vec::new());
    for key in keys {
        let mut path = vec![(key, false)];
        while let Some((key, has_placed_parents)) = path.pop() {
            if has_placed_parents {
                let is_placed = |parent: &K| marks.get(parent) == Some(&Mark::Placed);
                if parents(key).iter().all(is_placed) {
                    marks.insert(key, Mark::Placed);
                    order.push(key);
                } else {
                    marks.insert(key, Mark::Circular);
                    circular.push(key);
                }
                continue;
            }
            if marks.contains_key(&key) {
                continue;
            }
            marks.insert(key, Mark::Open);
            path.push((key, true));
            let open = parents(key).into_iter().rev();
            path.extend(
                open.filter(|parent| !marks.contains_key(parent))
                    .map(|parent| (parent, false)),
            );
        }
    }
    (order, circular)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(edges: &[(u32, &[u32])]) -> (Vec<u32>, Vec<u32>) {
        let map: BTreeMap<u32, Vec<u32>> =
            edges.iter().map(|(key, of)| (*key, of.to_vec())).collect();
        let parents = |key: u32| {
            let named = map[&key].iter().copied();
            named.filter(|name| map.contains_key(name)).collect()
        };
        in_order(map.keys().copied(), parents)
    }

    #[test]
    fn parents_come_first_whatever_the_keys_are() {
        assert_eq!(
            ordered(&[(1, &[3]), (2, &[]), (3, &[2])]),
            (vec![2, 3, 1], vec![])
        );
        assert_eq!(
            ordered(&[(1, &[]), (2, &[1]), (3, &[1]), (4, &[3, 2])]).0,
            [1, 2, 3, 4]
        );
        let line: Vec<(u32, Vec<u32>)> = (0..50_000).map(|key| (key, vec![key + 1])).collect();
        let line: Vec<(u32, &[u32])> = line.iter().map(|(key, of)| (*key, of.as_slice())).collect();
        let (order, _) = ordered(&line);
        assert_eq!((order.len(), order[0]), (50_000, 49_999));
    }

    #[test]
    fn a_circle_and_what_comes_after_it_have_no_order() {
        let (order, mut circular) =
            ordered(&[(1, &[2]), (2, &[3]), (3, &[2]), (4, &[]), (5, &[5])]);
        circular.sort_unstable();
        assert_eq!((order, circular), (vec![4], vec![1, 2, 3, 5]));
    }
}
