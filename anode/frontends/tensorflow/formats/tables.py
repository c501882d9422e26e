"""The tables of TensorFlow's messages: `name: number field type, ...`, a line or more for each.

`type*` repeats, `key:value` is a map, `of name` is a member of that oneof, `enum` lists values.
Numbers and names are those of TensorFlow 1.15; what a file holds beyond them is kept as it is.
"""

GRAPH = """
GraphDef: 1 node NodeDef*, 4 versions VersionDef, 3 version int32, 2 library FunctionDefLibrary
NodeDef: 1 name string, 2 op string, 3 input string*, 4 device string, 5 attr string:AttrValue
AttrValue: 2 s bytes of value, 3 i int64 of value, 4 f float of value, 5 b bool of value,
    6 type DataType of value, 7 shape TensorShapeProto of value, 8 tensor TensorProto of value,
    1 list AttrValue.ListValue of value, 10 func NameAttrList of value,
    9 placeholder string of value
AttrValue.ListValue: 2 s bytes*, 3 i int64*, 4 f float*, 5 b bool*, 6 type DataType*,
    7 shape TensorShapeProto*, 8 tensor TensorProto*, 9 func NameAttrList*
NameAttrList: 1 name string, 2 attr string:AttrValue
TensorProto: 1 dtype DataType, 2 tensor_shape TensorShapeProto, 3 version_number int32,
    4 tensor_content bytes, 13 half_val int32*, 5 float_val float*, 6 double_val double*,
    7 int_val int32*, 8 string_val bytes*, 9 scomplex_val float*, 10 int64_val int64*,
    11 bool_val bool*, 12 dcomplex_val double*, 14 resource_handle_val ResourceHandleProto*,
    15 variant_val VariantTensorDataProto*, 16 uint32_val uint32*, 17 uint64_val uint64*
VariantTensorDataProto: 1 type_name string, 2 metadata bytes, 3 tensors TensorProto*
TensorShapeProto: 2 dim TensorShapeProto.Dim*, 3 unknown_rank bool
TensorShapeProto.Dim: 1 size int64, 2 name string
enum DataType: 0 DT_INVALID, 1 DT_FLOAT, 2 DT_DOUBLE, 3 DT_INT32, 4 DT_UINT8, 5 DT_INT16,
    6 DT_INT8, 7 DT_STRING, 8 DT_COMPLEX64, 9 DT_INT64, 10 DT_BOOL, 11 DT_QINT8, 12 DT_QUINT8,
    13 DT_QINT32, 14 DT_BFLOAT16, 15 DT_QINT16, 16 DT_QUINT16, 17 DT_UINT16, 18 DT_COMPLEX128,
    19 DT_HALF, 20 DT_RESOURCE, 21 DT_VARIANT, 22 DT_UINT32, 23 DT_UINT64, 101 DT_FLOAT_REF,
    102 DT_DOUBLE_REF, 103 DT_INT32_REF, 104 DT_UINT8_REF, 105 DT_INT16_REF, 106 DT_INT8_REF,
    107 DT_STRING_REF, 108 DT_COMPLEX64_REF, 109 DT_INT64_REF, 110 DT_BOOL_REF, 111 DT_QINT8_REF,
    112 DT_QUINT8_REF, 113 DT_QINT32_REF, 114 DT_BFLOAT16_REF, 115 DT_QINT16_REF,
    116 DT_QUINT16_REF, 117 DT_UINT16_REF, 118 DT_COMPLEX128_REF, 119 DT_HALF_REF,
    120 DT_RESOURCE_REF, 121 DT_VARIANT_REF, 122 DT_UINT32_REF, 123 DT_UINT64_REF
ResourceHandleProto: 1 device string, 2 container string, 3 name string, 4 hash_code uint64,
    5 maybe_type_name string, 6 dtypes_and_shapes ResourceHandleProto.DtypeAndShape*
ResourceHandleProto.DtypeAndShape: 1 dtype DataType, 2 shape TensorShapeProto
OpDef: 1 name string, 2 input_arg OpDef.ArgDef*, 3 output_arg OpDef.ArgDef*,
    20 control_output string*, 4 attr OpDef.AttrDef*, 8 deprecation OpDeprecation,
    5 summary string, 6 description string, 18 is_commutative bool, 16 is_aggregate bool,
    17 is_stateful bool, 19 allows_uninitialized_input bool, 21 is_distributed_communication bool
OpDef.ArgDef: 1 name string, 2 description string, 3 type DataType, 4 type_attr string,
    5 number_attr string, 6 type_list_attr string,
    7 handle_data ResourceHandleProto.DtypeAndShape*, 16 is_ref bool
OpDef.AttrDef: 1 name string, 2 type string, 3 default_value AttrValue, 4 description string,
    5 has_minimum bool, 6 minimum int64, 7 allowed_values AttrValue
OpDeprecation: 1 version int32, 2 explanation string
OpList: 1 op OpDef*
FunctionDefLibrary: 1 function FunctionDef*, 2 gradient GradientDef*
FunctionDef: 1 signature OpDef, 5 attr string:AttrValue, 7 arg_attr uint32:FunctionDef.ArgAttrs,
    3 node_def NodeDef*, 4 ret string:string, 6 control_ret string:string
FunctionDef.ArgAttrs: 1 attr string:AttrValue
GradientDef: 1 function_name string, 2 gradient_func string
VersionDef: 1 producer int32, 2 min_consumer int32, 3 bad_consumers int32*
VariableDef: 1 variable_name string, 6 initial_value_name string, 2 initializer_name string,
    3 snapshot_name string, 4 save_slice_info_def SaveSliceInfoDef, 5 is_resource bool,
    7 trainable bool, 8 synchronization VariableSynchronization, 9 aggregation VariableAggregation
SaveSliceInfoDef: 1 full_name string, 2 full_shape int64*, 3 var_offset int64*, 4 var_shape int64*
enum VariableSynchronization: 0 VARIABLE_SYNCHRONIZATION_AUTO, 1 VARIABLE_SYNCHRONIZATION_NONE,
    2 VARIABLE_SYNCHRONIZATION_ON_WRITE, 3 VARIABLE_SYNCHRONIZATION_ON_READ
enum VariableAggregation: 0 VARIABLE_AGGREGATION_NONE, 1 VARIABLE_AGGREGATION_SUM,
    2 VARIABLE_AGGREGATION_MEAN, 3 VARIABLE_AGGREGATION_ONLY_FIRST_REPLICA
TensorSliceProto: 1 extent TensorSliceProto.Extent*
TensorSliceProto.Extent: 1 start int64, 2 length int64 of has_length_hack
MetaGraphDef: 1 meta_info_def MetaGraphDef.MetaInfoDef, 2 graph_def GraphDef, 3 saver_def SaverDef,
    4 collection_def string:CollectionDef, 5 signature_def string:SignatureDef,
    6 asset_file_def AssetFileDef*
MetaGraphDef.MetaInfoDef: 1 meta_graph_version string, 2 stripped_op_list OpList, 3 any_info Any,
    4 tags string*, 5 tensorflow_version string, 6 tensorflow_git_version string,
    7 stripped_default_attrs bool, 8 function_aliases string:string
CollectionDef: 1 node_list CollectionDef.NodeList of kind,
    2 bytes_list CollectionDef.BytesList of kind, 3 int64_list CollectionDef.Int64List of kind,
    4 float_list CollectionDef.FloatList of kind, 5 any_list CollectionDef.AnyList of kind
CollectionDef.NodeList: 1 value string*
CollectionDef.BytesList: 1 value bytes*
CollectionDef.Int64List: 1 value int64*
CollectionDef.FloatList: 1 value float*
CollectionDef.AnyList: 1 value Any*
TensorInfo: 1 name string of encoding, 4 coo_sparse TensorInfo.CooSparse of encoding,
    2 dtype DataType, 3 tensor_shape TensorShapeProto
TensorInfo.CooSparse: 1 values_tensor_name string, 2 indices_tensor_name string,
    3 dense_shape_tensor_name string
SignatureDef: 1 inputs string:TensorInfo, 2 outputs string:TensorInfo, 3 method_name string,
    4 defaults string:TensorProto
AssetFileDef: 1 tensor_info TensorInfo, 2 filename string
SaverDef: 1 filename_tensor_name string, 2 save_tensor_name string, 3 restore_op_name string,
    4 max_to_keep int32, 5 sharded bool, 6 keep_checkpoint_every_n_hours float,
    7 version SaverDef.CheckpointFormatVersion
enum SaverDef.CheckpointFormatVersion: 0 LEGACY, 1 V1, 2 V2
SavedModel: 1 saved_model_schema_version int64, 2 meta_graphs MetaGraphDef*
QueueRunnerDef: 1 queue_name string, 2 enqueue_op_name string*, 3 close_op_name string,
    4 cancel_op_name string, 5 queue_closed_exception_types error.Code*
ValuesDef: 1 values string*, 2 external_values string:string
ControlFlowContextDef: 1 cond_ctxt CondContextDef of ctxt, 2 while_ctxt WhileContextDef of ctxt
CondContextDef: 1 context_name string, 2 pred_name string, 3 pivot_name string, 4 branch int32,
    5 values_def ValuesDef, 6 nested_contexts ControlFlowContextDef*
WhileContextDef: 1 context_name string, 2 parallel_iterations int32, 3 back_prop bool,
    4 swap_memory bool, 5 pivot_name string, 6 pivot_for_pred_name string,
    7 pivot_for_body_name string, 8 loop_exit_names string*, 10 loop_enter_names string*,
    9 values_def ValuesDef, 11 maximum_iterations_name string,
    12 nested_contexts ControlFlowContextDef*
enum error.Code: 0 OK, 1 CANCELLED, 2 UNKNOWN, 3 INVALID_ARGUMENT, 4 DEADLINE_EXCEEDED,
    5 NOT_FOUND, 6 ALREADY_EXISTS, 7 PERMISSION_DENIED, 8 RESOURCE_EXHAUSTED,
    9 FAILED_PRECONDITION, 10 ABORTED, 11 OUT_OF_RANGE, 12 UNIMPLEMENTED, 13 INTERNAL,
    14 UNAVAILABLE, 15 DATA_LOSS, 16 UNAUTHENTICATED
Any: 1 type_url string, 2 value bytes
"""

SESSION = """
GPUOptions: 1 per_process_gpu_memory_fraction double, 4 allow_growth bool, 2 allocator_type string,
    3 deferred_deletion_bytes int64, 5 visible_device_list string,
    6 polling_active_delay_usecs int32, 7 polling_inactive_delay_msecs int32,
    8 force_gpu_compatible bool, 9 experimental GPUOptions.Experimental
GPUOptions.Experimental: 1 virtual_devices GPUOptions.Experimental.VirtualDevices*,
    2 use_unified_memory bool, 3 num_dev_to_dev_copy_streams int32, 4 collective_ring_order string,
    5 timestamped_allocator bool, 7 kernel_tracker_max_interval int32,
    8 kernel_tracker_max_bytes int32, 9 kernel_tracker_max_pending int32,
    10 internal_fragmentation_fraction double
GPUOptions.Experimental.VirtualDevices: 1 memory_limit_mb float*, 2 priority int32*,
    3 device_ordinal int32*
OptimizerOptions: 1 do_common_subexpression_elimination bool, 2 do_constant_folding bool,
    6 max_folded_constant_in_bytes int64, 4 do_function_inlining bool,
    3 opt_level OptimizerOptions.Level, 5 global_jit_level OptimizerOptions.GlobalJitLevel,
    7 cpu_global_jit bool
enum OptimizerOptions.Level: 0 L1, -1 L0
enum OptimizerOptions.GlobalJitLevel: 0 DEFAULT, -1 OFF, 1 ON_1, 2 ON_2
GraphOptions: 2 enable_recv_scheduling bool, 3 optimizer_options OptimizerOptions,
    4 build_cost_model int64, 9 build_cost_model_after int64, 5 infer_shapes bool,
    6 place_pruned_graph bool, 7 enable_bfloat16_sendrecv bool, 8 timeline_step int32,
    10 rewrite_options RewriterConfig
RPCOptions: 1 use_rpc_for_inprocess_master bool, 2 compression_algorithm string,
    3 compression_level int32, 4 cache_rpc_response bool,
    5 disable_session_connection_sharing bool, 6 num_channels_per_target int32
ThreadPoolOptionProto: 1 num_threads int32, 2 global_name string
SessionMetadata: 1 name string, 2 version int64
ConfigProto: 1 device_count string:int32, 2 intra_op_parallelism_threads int32,
    5 inter_op_parallelism_threads int32, 9 use_per_session_threads bool,
    12 session_inter_op_thread_pool ThreadPoolOptionProto*, 3 placement_period int32,
    4 device_filters string*, 6 gpu_options GPUOptions, 7 allow_soft_placement bool,
    8 log_device_placement bool, 10 graph_options GraphOptions, 11 operation_timeout_in_ms int64,
    13 rpc_options RPCOptions, 14 cluster_def ClusterDef, 15 isolate_session_state bool,
    16 experimental ConfigProto.Experimental
ConfigProto.Experimental: 1 collective_group_leader string, 3 executor_type string,
    4 recv_buf_max_chunk int32, 5 use_numa_affinity bool,
    6 collective_deterministic_sequential_execution bool, 7 collective_nccl bool,
    8 share_session_state_in_clusterspec_propagation bool, 9 disable_thread_spinning bool,
    10 share_cluster_devices_in_session bool, 11 session_metadata SessionMetadata,
    12 optimize_for_static_graph bool, 13 enable_mlir_bridge bool,
    14 disable_output_partition_graphs bool, 15 xla_fusion_autotuner_thresh int64
RunOptions: 1 trace_level RunOptions.TraceLevel, 2 timeout_in_ms int64,
    3 inter_op_thread_pool int32, 5 output_partition_graphs bool, 6 debug_options DebugOptions,
    7 report_tensor_allocations_upon_oom bool, 8 experimental RunOptions.Experimental
enum RunOptions.TraceLevel: 0 NO_TRACE, 1 SOFTWARE_TRACE, 2 HARDWARE_TRACE, 3 FULL_TRACE
RunOptions.Experimental: 1 collective_graph_key int64, 2 use_run_handler_pool bool,
    3 run_handler_pool_options RunOptions.Experimental.RunHandlerPoolOptions
RunOptions.Experimental.RunHandlerPoolOptions: 1 priority int64
RunMetadata: 1 step_stats StepStats, 2 cost_graph CostGraphDef, 3 partition_graphs GraphDef*,
    4 function_graphs RunMetadata.FunctionGraphs*, 5 session_metadata SessionMetadata
RunMetadata.FunctionGraphs: 1 partition_graphs GraphDef*, 2 pre_optimization_graph GraphDef,
    3 post_optimization_graph GraphDef
JobDef: 1 name string, 2 tasks int32:string
ClusterDef: 1 job JobDef*
AutoParallelOptions: 1 enable bool, 2 num_replicas int32
ScopedAllocatorOptions: 1 enable_op string*
RewriterConfig: 50 cpu_layout_conversion RewriterConfig.CpuLayout,
    1 layout_optimizer RewriterConfig.Toggle, 3 constant_folding RewriterConfig.Toggle,
    13 shape_optimization RewriterConfig.Toggle, 14 remapping RewriterConfig.Toggle,
    24 common_subgraph_elimination RewriterConfig.Toggle,
    7 arithmetic_optimization RewriterConfig.Toggle,
    8 dependency_optimization RewriterConfig.Toggle, 9 loop_optimization RewriterConfig.Toggle,
    10 function_optimization RewriterConfig.Toggle, 11 debug_stripper RewriterConfig.Toggle,
    2 disable_model_pruning bool, 15 scoped_allocator_optimization RewriterConfig.Toggle,
    18 pin_to_host_optimization RewriterConfig.Toggle,
    22 implementation_selector RewriterConfig.Toggle,
    23 auto_mixed_precision RewriterConfig.Toggle,
    25 auto_mixed_precision_mkl RewriterConfig.Toggle,
    31 auto_mixed_precision_onednn_bfloat16 RewriterConfig.Toggle,
    29 auto_mixed_precision_cpu RewriterConfig.Toggle, 19 disable_meta_optimizer bool,
    32 disable_tfg_optimizer bool, 28 use_plugin_optimizers RewriterConfig.Toggle,
    30 experimental_conditional_code_motion RewriterConfig.Toggle,
    12 meta_optimizer_iterations RewriterConfig.NumIterationsType, 17 min_graph_nodes int32,
    26 experimental_disable_compressed_tensor_optimization bool,
    27 experimental_disable_folding_quantization_emulation bool,
    4 memory_optimization RewriterConfig.MemOptType,
    6 memory_optimizer_target_node_name_scope string, 20 meta_optimizer_timeout_ms int64,
    5 auto_parallel AutoParallelOptions, 21 fail_on_optimizer_errors bool,
    16 scoped_allocator_opts ScopedAllocatorOptions, 100 optimizers string*,
    200 custom_optimizers RewriterConfig.CustomGraphOptimizer*
enum RewriterConfig.Toggle: 0 DEFAULT, 1 ON, 2 OFF, 3 AGGRESSIVE, 4 EXPERIMENTAL_MLIR,
    5 EXPERIMENTAL_BOTH
enum RewriterConfig.CpuLayout: 0 NO_CONVERSION_ON_CPU, 1 NCHW_TO_NHWC, 2 NHWC_TO_NCHW
enum RewriterConfig.NumIterationsType: 0 DEFAULT_NUM_ITERS, 1 ONE, 2 TWO
enum RewriterConfig.MemOptType: 0 DEFAULT_MEM_OPT, 1 NO_MEM_OPT, 2 MANUAL, 4 SWAPPING_HEURISTICS,
    5 RECOMPUTATION_HEURISTICS, 6 SCHEDULING_HEURISTICS, 3 HEURISTICS
RewriterConfig.CustomGraphOptimizer: 1 name string, 2 parameter_map string:AttrValue
DebugTensorWatch: 1 node_name string, 2 output_slot int32, 3 debug_ops string*,
    4 debug_urls string*, 5 tolerate_debug_op_creation_failures bool
DebugOptions: 4 debug_tensor_watch_opts DebugTensorWatch*, 10 global_step int64,
    11 reset_disk_byte_usage bool
AllocationRecord: 1 alloc_micros int64, 2 alloc_bytes int64
AllocatorMemoryUsed: 1 allocator_name string, 2 total_bytes int64, 3 peak_bytes int64,
    4 live_bytes int64, 6 allocation_records AllocationRecord*, 5 allocator_bytes_in_use int64
NodeOutput: 1 slot int32, 3 tensor_description TensorDescription
MemoryStats: 1 temp_memory_size int64, 3 persistent_memory_size int64,
    5 persistent_tensor_alloc_ids int64*, 2 device_temp_memory_size int64,
    4 device_persistent_memory_size int64, 6 device_persistent_tensor_alloc_ids int64*
NodeExecStats: 1 node_name string, 2 all_start_micros int64, 3 op_start_rel_micros int64,
    4 op_end_rel_micros int64, 5 all_end_rel_micros int64, 6 memory AllocatorMemoryUsed*,
    7 output NodeOutput*, 8 timeline_label string, 9 scheduled_micros int64, 10 thread_id uint32,
    11 referenced_tensor AllocationDescription*, 12 memory_stats MemoryStats,
    13 all_start_nanos int64, 14 op_start_rel_nanos int64, 15 op_end_rel_nanos int64,
    16 all_end_rel_nanos int64, 17 scheduled_nanos int64
DeviceStepStats: 1 device string, 2 node_stats NodeExecStats*, 3 thread_names uint32:string
StepStats: 1 dev_stats DeviceStepStats*
CostGraphDef: 1 node CostGraphDef.Node*, 2 cost CostGraphDef.AggregatedCost*
CostGraphDef.Node: 1 name string, 2 device string, 3 id int32,
    4 input_info CostGraphDef.Node.InputInfo*, 5 output_info CostGraphDef.Node.OutputInfo*,
    6 temporary_memory_size int64, 12 persistent_memory_size int64, 10 host_temp_memory_size int64,
    11 device_temp_memory_size int64, 16 device_persistent_memory_size int64, 9 compute_cost int64,
    14 compute_time int64, 15 memory_time int64, 7 is_final bool, 8 control_input int32*,
    17 inaccurate bool
CostGraphDef.Node.InputInfo: 1 preceding_node int32, 2 preceding_port int32
CostGraphDef.Node.OutputInfo: 1 size int64, 2 alias_input_port int64, 3 shape TensorShapeProto,
    4 dtype DataType
CostGraphDef.AggregatedCost: 1 cost float, 2 dimension string
AllocationDescription: 1 requested_bytes int64, 2 allocated_bytes int64, 3 allocator_name string,
    4 allocation_id int64, 5 has_single_reference bool, 6 ptr uint64
TensorDescription: 1 dtype DataType, 2 shape TensorShapeProto,
    4 allocation_description AllocationDescription
ServerDef: 1 cluster ClusterDef, 2 job_name string, 8 replica int32, 3 task_index int32,
    4 default_session_config ConfigProto, 5 protocol string, 6 port int32
InterconnectLink: 1 device_id int32, 2 type string, 3 strength int32
LocalLinks: 1 link InterconnectLink*
DeviceLocality: 1 bus_id int32, 2 numa_node int32, 3 links LocalLinks
DeviceAttributes: 1 name string, 2 device_type string, 4 memory_limit int64,
    5 locality DeviceLocality, 6 incarnation fixed64, 7 physical_device_desc string,
    8 xla_global_id int64
"""

RECORDS = """
SummaryDescription: 1 type_hint string
SummaryMetadata: 1 plugin_data SummaryMetadata.PluginData, 2 display_name string,
    3 summary_description string, 4 data_class DataClass
SummaryMetadata.PluginData: 1 plugin_name string, 2 content bytes
Summary: 1 value Summary.Value*
Summary.Image: 1 height int32, 2 width int32, 3 colorspace int32, 4 encoded_image_string bytes
Summary.Audio: 1 sample_rate float, 2 num_channels int64, 3 length_frames int64,
    4 encoded_audio_string bytes, 5 content_type string
Summary.Value: 7 node_name string, 1 tag string, 9 metadata SummaryMetadata,
    2 simple_value float of value, 3 obsolete_old_style_histogram bytes of value,
    4 image Summary.Image of value, 5 histo HistogramProto of value,
    6 audio Summary.Audio of value, 8 tensor TensorProto of value
enum DataClass: 0 DATA_CLASS_UNKNOWN, 1 DATA_CLASS_SCALAR, 2 DATA_CLASS_TENSOR,
    3 DATA_CLASS_BLOB_SEQUENCE
HistogramProto: 1 min double, 2 max double, 3 num double, 4 sum double, 5 sum_squares double,
    6 bucket_limit double*, 7 bucket double*
Event: 1 wall_time double, 2 step int64, 3 file_version string of what, 4 graph_def bytes of what,
    5 summary Summary of what, 6 log_message LogMessage of what, 7 session_log SessionLog of what,
    8 tagged_run_metadata TaggedRunMetadata of what, 9 meta_graph_def bytes of what
LogMessage: 1 level LogMessage.Level, 2 message string
enum LogMessage.Level: 0 UNKNOWN, 10 DEBUGGING, 20 INFO, 30 WARN, 40 ERROR, 50 FATAL
SessionLog: 1 status SessionLog.SessionStatus, 2 checkpoint_path string, 3 msg string
enum SessionLog.SessionStatus: 0 STATUS_UNSPECIFIED, 1 START, 2 STOP, 3 CHECKPOINT
TaggedRunMetadata: 1 tag string, 2 run_metadata bytes
Example: 1 features Features
SequenceExample: 1 context Features, 2 feature_lists FeatureLists
BytesList: 1 value bytes*
FloatList: 1 value float*
Int64List: 1 value int64*
Feature: 1 bytes_list BytesList of kind, 2 float_list FloatList of kind,
    3 int64_list Int64List of kind
Features: 1 feature string:Feature
FeatureList: 1 feature Feature*
FeatureLists: 1 feature_list string:FeatureList
CheckpointState: 1 model_checkpoint_path string, 2 all_model_checkpoint_paths string*,
    3 all_model_checkpoint_timestamps double*, 4 last_preserved_timestamp double
BundleHeaderProto: 1 num_shards int32, 2 endianness BundleHeaderProto.Endianness,
    3 version VersionDef
enum BundleHeaderProto.Endianness: 0 LITTLE, 1 BIG
BundleEntryProto: 1 dtype DataType, 2 shape TensorShapeProto, 3 shard_id int32, 4 offset int64,
    5 size int64, 6 crc32c fixed32, 7 slices TensorSliceProto*
SavedSliceMeta: 1 name string, 2 shape TensorShapeProto, 3 type DataType, 4 slice TensorSliceProto*
SavedTensorSliceMeta: 1 tensor SavedSliceMeta*, 2 versions VersionDef
SavedSlice: 1 name string, 2 slice TensorSliceProto, 3 data TensorProto
SavedTensorSlices: 1 meta SavedTensorSliceMeta, 2 data SavedSlice
NamedTensorProto: 1 name string, 2 tensor TensorProto
ProjectorConfig: 1 model_checkpoint_path string, 2 embeddings EmbeddingInfo*,
    3 model_checkpoint_dir string
EmbeddingInfo: 1 tensor_name string, 2 metadata_path string, 3 bookmarks_path string,
    4 tensor_shape uint32*, 5 sprite SpriteMetadata, 6 tensor_path string
SpriteMetadata: 1 image_path string, 2 single_image_dim uint32*
"""
