"""Expressions of arrays, strings, sparse tensors and images, and what TensorFlow makes of them.

In an expression `p(a)` is a placeholder that is fed `a`, `p(a, True)` one of unknown sizes. The
values, the static shapes and the gradients lie in recorded_arrays.npz. Run this file with
TensorFlow's Python to record again.
"""

# ruff: noqa: E501 (a case is one line)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

# an Example with a, b and c; one with a and c; a SequenceExample; small images
E1 = (
    "0a300a0b0a016112061a040a0201020a0a0a016212050a030a01780a150a01631210120e0a0c0000"
    "c03f0000204000006040"
)
E2 = "0a1c0a0b0a016112061a040a0203040a0d0a0163120812060a040000f040"
SEQ = (
    "0a0c0a0a0a016e12051a030a0102121f0a1d0a017412180a061a040a0200010a061a040a0201020a061a040a020203"
)
BMP = (
    "424d4e0000000000000036000000280000000300000002000000010018000000000018000000c40e"
    "0000c40e000000000000000000008f8275b6a99cddd0c30000001a0d00413427685b4e000000"
)
GIF = (
    "47494638376103000200820000c3d0dd9ca9b675828f4e5b68273441000d1a0000000000002c0000"
    "000003000200000809000b10182020008080003b"
)
RECORD = Path(__file__).parent / "recorded_arrays.npz"


def _operands() -> dict[str, Any]:
    random = np.random.RandomState(0)

    def real(*shape: int) -> np.ndarray:
        return random.randn(*shape).astype("f")

    images = random.rand(2, 6, 8, 3).astype("f")
    boxes = [[0.1, 0.21, 0.7, 0.93], [0.05, 0.02, 1, 1], [-0.23, 0.3, 1.3, 0.4]]
    overlapping = [[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11]]
    return {
        "X": real(3, 4, 5),
        "M": real(4, 6),
        "V": real(5),
        "S": real(4, 4),
        "N": real(8, 6, 4, 2),
        "Q": real(2, 4, 4, 3),
        "I": images,
        "U": (images * 255).astype("uint8"),
        "U3": (images[0] * 255).astype("uint8"),
        "B": np.array(boxes, "f"),
        "NM": np.array([*overlapping, [0, 10.1, 1, 11.1], [0, 100, 1, 101]], "f"),
        "SC": np.array([0.9, 0.75, 0.6, 0.95, 0.5, 0.3], "f"),
        "ints": np.array([2, 0, 1, 3], "i"),
        "lens": np.array([2, 4, 1], "i"),
        "E1": bytes.fromhex(E1),
        "E2": bytes.fromhex(E2),
        "SEQ": bytes.fromhex(SEQ),
        "BMP": bytes.fromhex(BMP),
        "GIF": bytes.fromhex(GIF),
        "np": np,
    }


CASES = (
    "tf.identity(p(X))",
    "tf.identity_n([p(X),p(M)])",
    "tf.stop_gradient(p(X))+p(X)",
    "tf.shape(p(X,True))",
    "tf.shape(p(X))",
    "tf.shape_n([p(X,True),p(M)])",
    "tf.size(p(X,True))",
    "tf.size(p(X),out_type=tf.int64)",
    "tf.rank(p(X))",
    "tf.reshape(p(X),[-1,10])",
    "tf.reshape(p(X,True),[12,-1])",
    "tf.reshape(p(X,True),tf.stack([tf.shape(p(X,True))[0],20]))",
    "tf.expand_dims(p(X),1)",
    "tf.expand_dims(p(X),axis=-1)",
    "tf.expand_dims(p(X),dim=0)",
    "tf.squeeze(p(X[:1]),[0])",
    "tf.squeeze(p(X[:1]))",
    "tf.squeeze(p(X[:1]),squeeze_dims=[0])",
    "tf.transpose(p(X))",
    "tf.transpose(p(X),[1,0,2])",
    "tf.transpose(p(X,True),perm=[2,0,1])",
    "tf.matrix_transpose(p(X))",
    "tf.concat([p(X),p(X)],1)",
    "tf.concat([p(X),p(X)],axis=-1)",
    "tf.concat(p(X),0)",
    "tf.concat([p(X)],0)",
    "tf.stack([p(X),p(X)])",
    "tf.stack([p(X),p(X)],axis=-1)",
    "tf.stack([p(X),p(X)],axis=2,name='foo')",
    "tf.stack([1,2,3])",
    "tf.stack([tf.shape(p(X,True))[0],5])",
    "tf.unstack(p(X))",
    "tf.unstack(p(X),axis=1)",
    "tf.unstack(p(X),axis=-1)",
    "tf.parallel_stack([p(X),p(X)])",
    "tf.split(p(M),2,1)",
    "tf.split(p(M),[1,3,2],axis=1)",
    "tf.split(p(M),[1,-1,2],axis=1)",
    "tf.split(value=p(M),num_or_size_splits=3,axis=-1)",
    "tf.slice(p(X),[0,1,2],[2,-1,2])",
    "tf.slice(p(X),tf.stack([tf.constant(1)+p(ints)[0]*0,0,2]),[2,2,3])",
    "tf.slice(p(X),[p(ints)[2],0,0],[-1,2,3])",
    "tf.strided_slice(p(X),[0,0,0],[3,4,5],[2,1,2])",
    "p(X)[0]",
    "p(X)[-1]",
    "p(X)[:,1:3]",
    "p(X)[1:,::2,-1]",
    "p(X)[...,0]",
    "p(X)[0,...,1:2]",
    "p(X)[:,tf.newaxis]",
    "p(X)[::-1,:,::-2]",
    "p(X)[p(ints)[0]]",
    "p(X)[p(ints)[0]-3]",
    "p(X)[:,p(ints)[0],1:4]",
    "p(X)[:p(ints)[0]]",
    "p(X)[p(ints)[2]:p(ints)[0]+1,:,0]",
    "p(X,True)[:,0]",
    "p(X,True)[0:1]",
    "p(X)[p(ints)[2],p(ints)[0],p(ints)[0]]",
    "p(X)[..., p(ints)[0]]",
    "p(X)[:, None, ..., p(ints)[0], None]",
    "p(X)[p(X)[:,0,0]>0]",
    "tf.tile(p(M),[2,1])",
    "tf.tile(p(M,True),[1,3])",
    "tf.tile(p(M),tf.stack([p(ints)[0],1]))",
    "tf.pad(p(M),[[1,2],[0,3]])",
    "tf.pad(p(M),[[1,2],[0,3]],constant_values=2.5)",
    "tf.pad(p(M),[[1,2],[2,3]],'REFLECT')",
    "tf.pad(p(M),[[1,2],[2,3]],mode='SYMMETRIC')",
    "tf.fill([2,3],9.0)",
    "tf.fill(tf.shape(p(M,True)),1)",
    "tf.zeros([2,3])",
    "tf.zeros([1000,2],tf.int32)",
    "tf.zeros(tf.shape(p(M,True)))",
    "tf.zeros([tf.shape(p(M,True))[0],7])",
    "tf.ones([2,3],dtype=tf.bool)",
    "tf.ones((2,3),tf.float64,name='o')",
    "tf.zeros_like(p(M))",
    "tf.zeros_like(p(M,True))",
    "tf.zeros_like(p(M,True),dtype=tf.int32)",
    "tf.ones_like(p(M,True))",
    "tf.ones_like(p(M),dtype=tf.int32)",
    "tf.zeros([2],tf.string)",
    "tf.broadcast_to(p(V),[3,5])",
    "tf.gather(p(X),p(ints)[:3])",
    "tf.gather(p(X),p(ints),axis=1)",
    "tf.gather(p(X),[[0,1],[2,3]],axis=2)",
    "tf.gather(p(X),2)",
    "tf.gather(p(X),p(np.array([[0,1],[2,3],[1,1]],'i')),axis=1,batch_dims=1)",
    "tf.gather(p(X),p(np.array([[0,1],[2,3],[1,1]],'i')),axis=2,batch_dims=1)",
    "tf.batch_gather(p(M),p(np.array([[0,1],[2,3],[1,1],[5,5]],'i')))",
    "tf.gather_nd(p(X),[[0,1],[2,3]])",
    "tf.gather_nd(p(X),p(np.array([[[0,1,2]],[[2,3,4]]],'i')))",
    "tf.scatter_nd([[1],[3],[1]],p(M[:3]),[5,6])",
    "tf.scatter_nd(p(np.array([[0,1],[2,2]],'i')),p(V[:2]),[3,3])",
    "tf.tensor_scatter_update(p(M),[[1],[3]],p(M[:2]))",
    "tf.tensor_scatter_add(p(M),[[1],[1]],p(M[:2]))",
    "tf.tensor_scatter_sub(p(M),[[1],[1]],p(M[:2]))",
    "tf.one_hot(p(ints),5)",
    "tf.one_hot([0,-1,7],3)",
    "tf.one_hot(p(ints),3,on_value=5.0,off_value=-1.0,axis=0)",
    "tf.one_hot(p(ints),depth=4,dtype=tf.int32)",
    "tf.one_hot(p(ints),4,True,False)",
    "tf.diag(p(V))",
    "tf.diag(p(S[:2,:2]))",
    "tf.diag_part(p(S))",
    "tf.matrix_diag_part(p(X))",
    "tf.matrix_diag(p(M))",
    "tf.matrix_set_diag(p(X),p(X[:,:,0]))",
    "tf.matrix_set_diag(p(M),p(V[:4]))",
    "tf.matrix_set_diag(p(M.T.copy()),p(V[:4]))",
    "tf.matrix_band_part(p(X),1,0)",
    "tf.matrix_band_part(p(S),0,-1)",
    "tf.matrix_band_part(p(S),-1,1)",
    "tf.eye(3)",
    "tf.eye(3,4,batch_shape=[2])",
    "tf.eye(2,dtype=tf.int32)",
    "tf.reverse(p(X),[0,-1])",
    "tf.reverse_sequence(p(X),p(lens),seq_axis=1,batch_axis=0)",
    "tf.reverse_sequence(p(X),p(np.array([2,5,1,0],'i')),seq_dim=2,batch_dim=1)",
    "tf.sequence_mask(p(lens),6)",
    "tf.sequence_mask([1,3,2])",
    "tf.sequence_mask(p(lens),5,dtype=tf.float32)",
    "tf.boolean_mask(p(M),[True,False,True,True])",
    "tf.boolean_mask(p(M),p(M)>0)",
    "tf.boolean_mask(p(X),p(X[:,:,0])>0)",
    "tf.boolean_mask(p(M),p(V[:4])>0,axis=0)",
    "tf.where(p(M)>0)",
    "tf.where(p(M)>0,p(M),tf.zeros_like(p(M)))",
    "tf.where(p(V[:4])>0,p(M),p(M)*2)",
    "tf.unique([3,1,3,2,1])",
    "tf.unique(tf.constant(['b','a','b']))",
    "tf.unique_with_counts([3,1,3,2,1])",
    "tf.setdiff1d([1,2,3,4,5,6],[1,3,5])",
    "tf.dynamic_partition(p(M),p(np.array([0,1,0,2],'i')),3)",
    "tf.dynamic_stitch([[0,2],[1,3]],[p(M[:2]),p(M[2:])])",
    "tf.dynamic_stitch([p(np.array([0,2],'i')),p(np.array([3,1],'i'))],[p(M[:2]),p(M[2:])])",
    "tf.invert_permutation(p(ints))",
    "tf.meshgrid([1,2,3],[4,5])",
    "tf.meshgrid([1.,2],[4.,5,6],[7.,8],indexing='ij')",
    "tf.meshgrid([1.,2],[4.,5,6],[7.,8])",
    "tf.space_to_batch_nd(p(I),[2,4],[[0,0],[0,0]])",
    "tf.space_to_batch_nd(p(I),[2,3],[[1,1],[0,1]])",
    "tf.batch_to_space_nd(p(N),[2,2],[[1,0],[0,2]])",
    "tf.space_to_batch(p(I),[[0,0],[0,0]],block_size=2)",
    "tf.batch_to_space(p(N),[[0,0],[1,1]],2)",
    "tf.space_to_depth(p(I),2)",
    "tf.depth_to_space(p(N[...,:1].repeat(4,-1)),2)",
    "tf.extract_image_patches(p(I),[1,3,3,1],[1,2,2,1],[1,1,1,1],'SAME')",
    "tf.extract_image_patches(p(I),ksizes=[1,2,3,1],strides=[1,1,1,1],rates=[1,2,1,1],padding='VALID')",
    "tf.bitcast(p(V),tf.int32)",
    "tf.broadcast_dynamic_shape([2,1],[1,3])",
    "tf.required_space_to_batch_paddings([5,7],[2,3])",
    "tf.roll(p(M),[1,-2],[0,1])",
    "tf.repeat(p(M),2,axis=1)",
    "tf.repeat([1,2,3],[2,0,1])",
    "tf.searchsorted([[1.,3,5],[2.,4,6]],[[0.,3],[7,4]])",
    "tf.edit_distance(tf.SparseTensor([[0,0],[0,1],[1,0]],[1,2,3],[2,3]),tf.SparseTensor([[0,0],[0,1],[0,2],[1,0]],[1,3,2,3],[2,3]))",
    'tf.concat([["a","b"],["c"]],0)',
    'tf.reshape(tf.constant(["a","b","c","d"]),[2,2])',
    'tf.stack([tf.constant("a"),tf.constant("b")])',
    'tf.gather(tf.constant(["a","b","c"]),[2,0])',
    'tf.constant(["a","b","c"])[1:]',
    'tf.constant(["a","b","c"])[0]',
    'tf.expand_dims(tf.constant(["a"]),0)',
    'tf.tile(tf.constant(["a"]),[3])',
    'tf.where([True,False],tf.constant(["a","b"]),tf.constant(["c","d"]))',
    'tf.split(tf.constant(["a","b"]),2)',
    'tf.equal(tf.constant(["a","b"]),"a")',
    'tf.string_join(["a",["b","c"]],separator=\'-\')',
    "tf.as_string([1.5,-2.25])",
    "tf.as_string([1,2])",
    "tf.as_string([1.5,20.25],precision=3,width=8,fill='0')",
    "tf.as_string([True,False])",
    "tf.as_string([1.5e10],scientific=True,precision=2)",
    "tf.as_string([1.5e10,0.1],shortest=True)",
    'tf.string_to_number(["1.5","-3"])',
    'tf.string_to_number(["15"],out_type=tf.int64)',
    'tf.string_split(["a b c","d  e",""])',
    'tf.string_split(["a,b;c"],",;")',
    'tf.string_split(["abc"],"")',
    'tf.string_split(["a||b"],"|",skip_empty=False)',
    'tf.strings.split(["a b  c","d"])',
    'tf.strings.split(["a,b,,c"],sep=",",maxsplit=2)',
    'tf.regex_replace(["aXbX","c"],"X(.)?","<\\\\1>")',
    'tf.strings.regex_full_match(["abc","ab"],"a.c")',
    'tf.substr(["hello","world"],[1,2],[3,2])',
    'tf.substr(["hello","world"],-3,2)',
    'tf.strings.length(["ab","c\\u00e9"])',
    'tf.strings.length(["ab","c\\u00e9"],unit=\'UTF8_CHAR\')',
    'tf.strings.lower(["AbC"])',
    'tf.strings.upper(["AbC"])',
    'tf.strings.strip(["  a b "])',
    'tf.string_to_hash_bucket_fast(["a","hello world","x"*100],1000)',
    'tf.string_to_hash_bucket(["a","hello"],1000)',
    'tf.string_to_hash_bucket_strong(["a","hello"],1000,[1,2])',
    'tf.decode_base64(tf.encode_base64(["hello?>"]))',
    'tf.encode_base64(["hello?>"])',
    'tf.encode_base64(["hello?>"],pad=True)',
    'tf.reduce_join([["a","b"],["c","d"]],0)',
    'tf.reduce_join([["a","b"],["c","d"]],[1],separator=\',\')',
    'tf.reduce_join([["a","b"],["c","d"]],keep_dims=True)',
    'tf.reduce_join([["a","b"],["c","d"]],[1,0])',
    'tf.decode_raw(["abcd"],tf.uint8)',
    'tf.decode_raw("abcdefgh",tf.float32)',
    'tf.decode_raw(["abcd"],tf.int16,little_endian=False)',
    'tf.decode_csv(["1,2.5,x","3,,y"],[[0],[1.0],[""]])',
    "tf.decode_csv(['1|\"a|b\"'],[[0],[\"\"]],field_delim='|')",
    'tf.decode_csv("1,2,3",[[0],[0]],select_cols=[0,2])',
    "tf.sparse_tensor_to_dense(tf.SparseTensor([[0,1],[2,3]],p(V[:2]),[3,4]))",
    'tf.sparse_tensor_to_dense(tf.SparseTensor([[0,1],[2,3]],["a","b"],[3,4]),default_value="z")',
    "tf.sparse_to_dense([[0,1],[2,0]],[3,2],p(V[:2]))",
    "tf.sparse_to_dense([0,3],[5],1.0,0.0)",
    "tf.sparse_to_dense([0,3],[5],[1,2],-1)",
    "tf.sparse_tensor_dense_matmul(tf.SparseTensor([[0,1],[2,3],[2,0]],p(V[:3]),[3,4]),p(M))",
    "tf.sparse_tensor_dense_matmul(tf.SparseTensor([[0,1],[2,3],[2,0]],p(V[:3]),[3,4]),p(M[:3]),adjoint_a=True)",
    "tf.sparse_reduce_sum(tf.SparseTensor([[0,1],[2,3],[2,0]],p(V[:3]),[3,4]),axis=1)",
    "tf.sparse_reduce_sum(tf.SparseTensor([[0,1],[2,3],[2,0]],p(V[:3]),[3,4]),[0],keep_dims=True)",
    "tf.sparse_reduce_sum(tf.SparseTensor([[0,1],[2,3],[2,0]],p(V[:3]),[3,4]))",
    "tf.sparse_add(tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]),tf.SparseTensor([[0,1],[1,0]],[1.,2.],[3,4]))",
    "tf.sparse_add(tf.SparseTensor([[0,1],[2,3]],p(V[:2]),[4,6]),p(M))",
    "tf.sparse_reorder(tf.SparseTensor([[2,3],[0,1]],[1.,2.],[3,4]))",
    "tf.sparse_reshape(tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]),[2,-1])",
    "tf.sparse_transpose(tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]))",
    "tf.sparse_slice(tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]),[1,1],[2,3])",
    "tf.sparse_retain(tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]),[True,False])",
    "tf.sparse_concat(1,[tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]),tf.SparseTensor([[0,1],[1,0]],[3.,4.],[3,4])])",
    "tf.sparse_split(sp_input=tf.SparseTensor([[0,1],[2,3]],[1.,2.],[3,4]),num_split=2,axis=1)",
    "tf.sparse_fill_empty_rows(tf.SparseTensor([[0,1],[2,3]],[1.,2.],[4,4]),7.)",
    "tf.SparseTensor([[0,1],[2,3]],p(V[:2]),[3,4])*tf.constant(M[:3,:4])",
    "tf.sparse.from_dense([[0,1],[2,0]])",
    "tf.image.resize_images(p(I),[12,16])",
    "tf.image.resize_images(p(I),[3,5])",
    "tf.image.resize_images(p(I),[12,16],align_corners=True)",
    "tf.image.resize_images(p(I),[12,16],method=1)",
    "tf.image.resize_images(p(I),[5,7],method=1,align_corners=True)",
    "tf.image.resize_images(p(I),[12,16],method=2)",
    "tf.image.resize_images(p(I),[7,5],method=tf.image.ResizeMethod.BICUBIC)",
    "tf.image.resize_images(p(I),[3,4],method=3)",
    "tf.image.resize_images(p(I),[4,5],method=tf.image.ResizeMethod.AREA)",
    "tf.image.resize_images(p(I),[6,8])",
    "tf.image.resize_images(p(U3),[4,4])",
    "tf.image.resize_images(p(U3),[4,4],method=1)",
    "tf.image.resize_images(p(U3),[9,9],preserve_aspect_ratio=True)",
    "tf.image.resize_bilinear(p(I,True),[4,4])",
    "tf.image.resize_bilinear(p(I),[4,4],half_pixel_centers=True)",
    "tf.image.resize_nearest_neighbor(p(I),[13,3])",
    "tf.image.resize_area(p(I),[2,2])",
    "tf.image.resize_bicubic(p(I),[12,16],align_corners=True)",
    "tf.image.resize_image_with_crop_or_pad(p(I),4,12)",
    "tf.image.resize_image_with_crop_or_pad(p(I[0]),9,5)",
    "tf.image.resize_image_with_crop_or_pad(p(I,True),4,12)",
    "tf.image.resize_image_with_pad(p(I),12,10)",
    "tf.image.crop_to_bounding_box(p(I),1,2,3,4)",
    "tf.image.crop_to_bounding_box(p(U3),1,2,3,4)",
    "tf.image.pad_to_bounding_box(p(I),1,2,9,12)",
    "tf.image.central_crop(p(I),0.5)",
    "tf.image.central_crop(p(I,True),0.5)",
    "tf.image.central_crop(p(U3),0.875)",
    "tf.image.crop_and_resize(p(I),p(B),[0,1,0],[3,4])",
    "tf.image.crop_and_resize(p(I),p(B),[0,1,0],[1,2],extrapolation_value=5.)",
    "tf.image.crop_and_resize(p(I),p(B),[0,1,0],[3,4],method='nearest')",
    "tf.image.flip_left_right(p(I))",
    "tf.image.flip_left_right(p(U3))",
    "tf.image.flip_up_down(p(U3))",
    "tf.image.rot90(p(I))",
    "tf.image.rot90(p(I[0]),k=3)",
    "tf.image.transpose_image(p(I[0]))",
    "tf.image.adjust_brightness(p(I),0.3)",
    "tf.image.adjust_brightness(p(U3),0.3)",
    "tf.image.adjust_contrast(p(I),1.7)",
    "tf.image.adjust_contrast(p(U3),0.5)",
    "tf.image.adjust_saturation(p(I),1.5)",
    "tf.image.adjust_saturation(p(U3),0.5)",
    "tf.image.adjust_hue(p(I),0.2)",
    "tf.image.adjust_hue(p(U3),-0.4)",
    "tf.image.adjust_gamma(p(I),2.0,0.5)",
    "tf.image.per_image_standardization(p(I[0]))",
    "tf.image.per_image_standardization(p(U3))",
    "tf.image.convert_image_dtype(p(U3),tf.float32)",
    "tf.image.convert_image_dtype(p(I),tf.uint8)",
    "tf.image.convert_image_dtype(p(I)*1.5,tf.uint8,saturate=True)",
    "tf.image.convert_image_dtype(p(U3),tf.uint16)",
    "tf.image.convert_image_dtype(p(U3.astype('uint16')*200),tf.uint8)",
    "tf.image.rgb_to_grayscale(p(I))",
    "tf.image.rgb_to_grayscale(p(U3))",
    "tf.image.grayscale_to_rgb(p(I[...,:1]))",
    "tf.image.rgb_to_hsv(p(I))",
    "tf.image.hsv_to_rgb(p(I))",
    "tf.image.rgb_to_yiq(p(I))",
    "tf.image.yuv_to_rgb(p(I))",
    "tf.image.decode_png(tf.image.encode_png(p(U3)))",
    "tf.image.decode_png(tf.image.encode_png(p(U3)),channels=1)",
    "tf.image.decode_png(tf.image.encode_png(p(U3[...,:1])),channels=3)",
    "tf.image.decode_image(tf.image.encode_png(p(U3)))",
    "tf.image.non_max_suppression(p(NM),p(SC),3)",
    "tf.image.non_max_suppression(p(NM),p(SC),3,iou_threshold=0.3,score_threshold=0.55)",
    "tf.image.draw_bounding_boxes(p(I),p(np.stack([B[:2],B[1:]])))",
    "tf.image.psnr(p(I[:1]),p(I[1:]),1.0)",
    "tf.image.ssim(p(Q.repeat(4,1).repeat(4,2)),p(Q[::-1].repeat(4,1).repeat(4,2).copy()),1.0)",
    "tf.image.total_variation(p(I))",
    "tf.image.image_gradients(p(I))",
    "tf.shape(tf.random_crop(p(I[0]),[4,4,3],seed=1))",
    "tf.shape(tf.image.random_flip_left_right(p(I[0]),seed=1))",
    "tf.shape(tf.image.random_brightness(p(I[0]),0.3,seed=1))",
    "tf.shape(tf.image.random_hue(p(I[0]),0.1))",
    "tf.parse_example([E1, E2], {'a': tf.FixedLenFeature([2], tf.int64), 'b': tf.FixedLenFeature([], tf.string, 'z'), 'c': tf.VarLenFeature(tf.float32)})",
    "tf.parse_single_example(E1, {'a': tf.FixedLenFeature([2], tf.int64), 'b': tf.FixedLenFeature([], tf.string), 'c': tf.VarLenFeature(tf.float32)})",
    "tf.parse_example([E1, E2], {'c': tf.FixedLenSequenceFeature([], tf.float32, allow_missing=True)})",
    "tf.parse_single_example(E1, {'c': tf.FixedLenSequenceFeature([], tf.float32, allow_missing=True), 'd': tf.FixedLenFeature([2], tf.float32, [1., 2.])})",
    "tf.parse_single_sequence_example(SEQ, {'n': tf.FixedLenFeature([], tf.int64)}, {'t': tf.FixedLenSequenceFeature([2], tf.int64)})",
    "tf.parse_single_sequence_example(SEQ, sequence_features={'t': tf.VarLenFeature(tf.int64)})",
    "tf.eye(3)[0]",
    "tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s + p0[i, 1:, -1]), [0, tf.zeros([3])])[1] if [p0 := p(X)] else None",
    "tf.image.rot90(p(U3), k=2)",
    "tf.image.decode_bmp(BMP)",
    "tf.image.decode_gif(GIF)",
)
ERRORS = (
    "tf.expand_dims(p(X),5)",
    "tf.reshape(p(X),[7,-1])",
    "p(X)[5]",
    "p(X)[0,0,0,0]",
    "p(X)['a']",
    "tf.concat([p(X),p(M)],0)",
    "tf.stack([p(X),p(M)])",
    "tf.unstack(p(X,True))",
    "tf.split(p(M),4,1)",
    "tf.split(0,2,p(M))",
    "tf.concat(0,[p(M),p(M)])",
    "tf.gather(p(X),1.5)",
    "tf.transpose(p(X),[0,1])",
    "tf.pad(p(X),[[1,1]])",
    "tf.tile(p(X),[1,2])",
    "tf.squeeze(p(X),[0])",
)
# TensorFlow has no gradient of them, or another one at points where both are right
NO_GRADIENT = (
    *("crop_and_resize", "hsv_to_rgb", "draw_bounding", "while_loop"),
    *("bicubic", "BICUBIC", "method=2"),
)


def flat(value: Any) -> list[Any]:
    """The tensors of a structure."""
    if isinstance(value, dict):
        return [t for key in sorted(value) for t in flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [t for item in value for t in flat(item)]
    if hasattr(value, "dense_shape") and hasattr(value, "indices"):
        return [value.indices, value.values, value.dense_shape]
    return [value]


def build(tf: Any, text: str) -> tuple[list[Any], dict[Any, Any]]:
    """The tensors of an expression in the default graph, and what is fed."""
    feed: dict[Any, Any] = {}

    def p(a: Any, unknown: bool = False) -> Any:
        found = tf.placeholder(tf.as_dtype(a.dtype), [None] * a.ndim if unknown else a.shape)
        feed[found] = a
        return found

    return flat(eval(text, {**_operands(), "tf": tf, "p": p})), feed


def gradients(tf: Any, text: str, tensors: list[Any], feed: dict[Any, Any]) -> list[Any]:
    """Of a weighted sum of the results by what is fed."""
    floats = [t for t in tensors if t.dtype.is_floating]
    xs = [x for x in feed if x.dtype.is_floating]
    if not floats or not xs or any(part in text for part in NO_GRADIENT):
        return []
    sums = []
    for t in floats:
        weights = tf.reshape(tf.range(tf.size(t)), tf.shape(t))
        sums.append(tf.reduce_sum(tf.cast(t, tf.float32) * tf.cast(weights, tf.float32)))
    try:
        found = tf.gradients(tf.add_n(sums), xs)
    except LookupError:  # TensorFlow has no gradient of some
        return []
    return [tf.convert_to_tensor(g) for g in found if g is not None]


def array(value: Any) -> np.ndarray:
    found = np.asarray(value)
    return found.astype("S") if found.dtype == object else found


def record() -> None:
    import tensorflow.compat.v1 as tf

    tf.disable_eager_execution()
    tf.disable_resource_variables()
    found: dict[str, np.ndarray] = {}
    for i, text in enumerate(CASES):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(1)
            tensors, feed = build(tf, text)
            for j, (t, value) in enumerate(zip(tensors, session.run(tensors, feed), strict=True)):
                found[f"{i}.{j}"] = array(value)
                dims = [-2] if t.shape.ndims is None else [-1 if n is None else n for n in t.shape]
                found[f"{i}.{j}.shape"] = np.array(dims, "i")
            for j, value in enumerate(session.run(gradients(tf, text, tensors, feed), feed)):
                found[f"{i}.gradient.{j}"] = value
    np.savez_compressed(RECORD, **found)


if __name__ == "__main__":
    record()
