//! Batches going out through Arrow's C structs.
//!
//! arrow-rs exports arrays too, with half a dozen allocations for each. Here all structs of a batch lie in one block, which
//! lives until the last of them is released: a receiver may move a column out, and release it after the batch and on
//! another thread.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, Int32Type};
use arrow_array::{Array, ArrayRef, GenericByteArray, RecordBatch, downcast_primitive};
use arrow_buffer::{BooleanBuffer, Buffer};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::{DataType, SchemaRef};
use dfp_core::{Error, ErrorKind, Result};

use crate::arrow::ArrowArray;
use crate::boundary::dropped;
use crate::import::{is_text_dictionary, not_crossing};

/// `batch` as a C struct, freed when dropped or by whoever receives it. No data is copied, except bitmaps of slices that
/// begin inside a byte.
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] if the batch is not of the schema `declared`, [`ErrorKind::Unsupported`] for a view or
/// another type that has no place in the border.
pub fn export_batch(batch: RecordBatch, declared: &SchemaRef) -> Result<FFI_ArrowArray> {
    if batch.schema_ref() != declared {
        return Err(Error::new(ErrorKind::SchemaMismatch, "a batch is of another schema than was declared"));
    }
    let mut tree = Tree::with_capacity(1 + batch.num_columns());
    tree.room(1);
    let mut top = Node::new(batch.num_rows());
    tree.children(&mut top, batch.columns())?;
    tree.nodes[TOP] = top;
    Ok(tree.into_array(batch))
}

/// Where the struct of the batch itself lies.
const TOP: usize = 0;

/// One C struct, and what it points to.
struct Node {
    array: ArrowArray,
    buffers: [*const c_void; 3],
    /// Where its children lie, or its dictionary.
    parts: Range<usize>,
    block: *const Block,
}

/// All structs of a batch. They are plain pointers into what lies beside them.
struct Block {
    nodes: Vec<Node>,
    /// To the struct of each node, in order: so the list of a node's children is a part of this one.
    _arrays: Vec<*mut ArrowArray>,
    /// Structs that are not released yet.
    alive: AtomicUsize,
    _batch: RecordBatch,
    _shifted: Vec<Buffer>,
}

impl Node {
    /// An array without nulls and without buffers beside the bitmap of validity, which is missing.
    fn new(rows: usize) -> Self {
        Self {
            array: ArrowArray {
                length: rows as i64,
                null_count: 0,
                offset: 0,
                n_buffers: 1,
                n_children: 0,
                buffers: null_mut(),
                children: null_mut(),
                dictionary: null_mut(),
                release: Some(release),
                private_data: null_mut(),
            },
            buffers: [null(); 3],
            parts: 0..0,
            block: null(),
        }
    }

    fn buffer(&mut self, address: *const u8) {
        self.buffers[self.array.n_buffers as usize] = address.cast();
        self.array.n_buffers += 1;
    }

    fn texts<T: ByteArrayType>(&mut self, array: &GenericByteArray<T>) {
        self.buffer(array.offsets().inner().inner().as_ptr());
        self.buffer(array.values().as_ptr());
    }
}

/// The nodes of a batch while they are made: they still move.
struct Tree {
    nodes: Vec<Node>,
    shifted: Vec<Buffer>,
}

impl Tree {
    fn with_capacity(nodes: usize) -> Self {
        Self { nodes: Vec::with_capacity(nodes), shifted: Vec::new() }
    }

    /// Room for `count` nodes side by side.
    fn room(&mut self, count: usize) -> Range<usize> {
        let start = self.nodes.len();
        self.nodes.resize_with(start + count, || Node::new(0));
        start..start + count
    }

    fn parts(&mut self, arrays: &[ArrayRef]) -> Result<Range<usize>> {
        let parts = self.room(arrays.len());
        for (at, array) in parts.clone().zip(arrays) {
            self.nodes[at] = self.node(array)?;
        }
        Ok(parts)
    }

    fn children(&mut self, node: &mut Node, arrays: &[ArrayRef]) -> Result<()> {
        node.parts = self.parts(arrays)?;
        node.array.n_children = arrays.len() as i64;
        Ok(())
    }

    fn node(&mut self, array: &dyn Array) -> Result<Node> {
        macro_rules! primitive {
            ($type:ty, $node:expr) => {
                $node.buffer(array.as_primitive::<$type>().values().inner().as_ptr())
            };
        }
        let mut node = Node::new(array.len());
        let data_type = array.data_type();
        downcast_primitive! {
            data_type => (primitive, node),
            DataType::Boolean => {
                let values = array.as_boolean().values();
                node.array.offset = common_offset(values, array) as i64;
                node.buffer(self.bits(values, node.array.offset as usize));
            },
            DataType::Utf8 => node.texts(array.as_string::<i32>()),
            DataType::LargeUtf8 => node.texts(array.as_string::<i64>()),
            DataType::Binary => node.texts(array.as_binary::<i32>()),
            DataType::LargeBinary => node.texts(array.as_binary::<i64>()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                node.buffer(list.offsets().inner().inner().as_ptr());
                self.children(&mut node, std::slice::from_ref(list.values()))?;
            },
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                node.buffer(list.offsets().inner().inner().as_ptr());
                self.children(&mut node, std::slice::from_ref(list.values()))?;
            },
            DataType::Map(..) => {
                let map = array.as_map();
                node.buffer(map.offsets().inner().inner().as_ptr());
                let pairs: ArrayRef = Arc::new(map.entries().clone());
                self.children(&mut node, std::slice::from_ref(&pairs))?;
            },
            DataType::Struct(_) => self.children(&mut node, array.as_struct().columns())?,
            data_type if is_text_dictionary(data_type) => {
                let dictionary = array.as_dictionary::<Int32Type>();
                node.buffer(dictionary.keys().values().inner().as_ptr());
                node.parts = self.parts(std::slice::from_ref(dictionary.values()))?;
            },
            other => return Err(not_crossing("an array", other))
        }
        if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            node.array.null_count = nulls.null_count() as i64;
            node.buffers[0] = self.bits(nulls.inner(), node.array.offset as usize).cast();
        }
        Ok(node)
    }

    /// Where bits lie if the first of them is `offset` bits behind the address: moved there if they have to be.
    fn bits(&mut self, bits: &BooleanBuffer, offset: usize) -> *const u8 {
        if bits.offset() % 8 == offset {
            return bits.values()[bits.offset() / 8..].as_ptr();
        }
        debug_assert_eq!(offset, 0, "see `common_offset`");
        let shifted = bits.sliced();
        let address = shifted.as_ptr();
        self.shifted.push(shifted);
        address
    }

    /// The struct of the batch, which from here on keeps everything alive.
    fn into_array(self, batch: RecordBatch) -> FFI_ArrowArray {
        let Self { mut nodes, shifted } = self;
        let count = nodes.len();
        let first = nodes.as_mut_ptr();
        // SAFETY: there are as many nodes. They stay where they are: the list is not changed any more, and not borrowed.
        let node = |at| unsafe { first.add(at) };
        // SAFETY: as above.
        let mut arrays: Vec<_> = (0..count).map(|at| unsafe { &raw mut (*node(at)).array }).collect();
        let list = arrays.as_mut_ptr();
        let alive = AtomicUsize::new(count);
        let block = Box::new(Block { nodes, _arrays: arrays, alive, _batch: batch, _shifted: shifted });
        let block = Box::into_raw(block);
        for node in (0..count).map(node) {
            // SAFETY: as above; nobody else knows the nodes yet, and parts lie within the lists.
            unsafe {
                (*node).block = block;
                let array = &mut (*node).array;
                array.private_data = node.cast();
                array.buffers = (&raw mut (*node).buffers).cast();
                let parts = &(*node).parts;
                if array.n_children > 0 {
                    array.children = list.add(parts.start);
                } else if !parts.is_empty() {
                    array.dictionary = list.add(parts.start).read();
                }
            }
        }
        // SAFETY: both types have the layout of the C struct. A move: the struct in the node is not used again.
        unsafe { list.add(TOP).read().cast::<FFI_ArrowArray>().read() }
    }
}

/// The offset of a struct is that of both its bitmaps: the one they have in common within a byte, if they have.
fn common_offset(values: &BooleanBuffer, array: &dyn Array) -> usize {
    let offset = values.offset() % 8;
    let common = array.nulls().is_none_or(|nulls| nulls.offset() % 8 == offset);
    if common { offset } else { 0 }
}

/// Releases a struct with those of its parts that are still where they were, and the block with the last struct. Goes by
/// its own notes alone: what the receiver made of the struct does not matter.
unsafe extern "C" fn release(array: *mut ArrowArray) {
    // SAFETY: the C Data Interface hands the callback a struct that is not released yet, wherever it was moved: it counts as
    // alive, so its node and the block are there.
    unsafe {
        let node = (*array).private_data.cast::<Node>();
        let block = (*node).block;
        let gone = released(array, node);
        if (*block).alive.fetch_sub(gone, Ordering::AcqRel) == gone {
            dropped(Box::from_raw(block.cast_mut()));
        }
    }
}

/// Marks a struct as released, and those of its parts that were not moved away. Answers how many they are.
///
/// # Safety
/// `array` is alive, `node` is its node, and nobody else uses the parts that were not moved away.
unsafe fn released(array: *mut ArrowArray, node: *const Node) -> usize {
    // SAFETY: the caller's promise; parts lie in their nodes, and those that were moved away are marked as released.
    unsafe {
        (*array).release = None;
        let block = &*(*node).block;
        let nodes = block.nodes.as_ptr().cast_mut();
        let parts = (*node).parts.clone().map(|at| nodes.add(at));
        let here = parts.filter(|part| (**part).array.release.is_some());
        1 + here.map(|part| released(&raw mut (*part).array, part)).sum::<usize>()
    }
}

#[cfg(test)]
// SAFETY of the calls in there: structs are local ones, filled a few lines above.
#[allow(clippy::undocumented_unsafe_blocks)]
#[path = "export_tests.rs"]
mod tests;
