/** What an option of another tool is here. */
interface Alias {
  /** The path of our option; absent: there is none. */
  readonly option?: string;
  /** What differs, or why there is none. */
  readonly note?: string;
}

interface Row extends Alias {
  /** As transformers, PEFT, TRL, Axolotl, mergekit and people write them. */
  readonly names: string;
}

const rows: readonly Row[] = [
  {
    option: 'base',
    names:
      'model model_name model_id model_path model_name_or_path base_model base_model_name_or_path pretrained_model_name_or_path checkpoint_path',
  },
  { option: 'out', names: 'output output_dir output_path out_dir save_dir save_path run_dir run_name' },
  { option: 'seed', names: 'random_seed random_state data_seed' },
  { option: 'engine', names: 'device', note: "{ kind: 'native' } computes on the processor; see docs/engines.md" },
  { option: 'engine.threads', names: 'threads num_threads n_threads' },
  {
    option: 'precision',
    names: 'bf16 bfloat16 dtype torch_dtype mixed_precision compute_dtype bf16_full_eval',
    note: "'bfloat16', 'float32', or 'auto' as the checkpoint stores its weights",
  },
  { names: 'fp16 float16 half', note: "Glulam does not compute in float16; choose precision: 'bfloat16' or 'float32'" },
  { names: 'tf32', note: "there are no TF32 products; choose precision: 'bfloat16' or 'float32'" },

  { option: 'adapter', names: 'lora peft peft_config lora_config adapter_config', note: "{ kind: 'lora', r: 8 }" },
  { option: 'adapter.kind', names: 'adapter_type peft_type adapter_name', note: "in lower case: 'lora' or 'dora'" },
  { option: 'adapter.kind', names: 'use_dora peft_use_dora', note: "the kind 'dora' in place of 'lora'" },
  { option: 'adapter.r', names: 'r rank lora_r lora_rank' },
  { option: 'adapter.lora_alpha', names: 'alpha lora_alpha' },
  { option: 'adapter.lora_dropout', names: 'dropout lora_dropout' },
  {
    option: 'adapter.target_modules',
    names: 'target_modules lora_target_modules lora_modules target_layers',
  },
  {
    option: 'adapter.target_modules',
    names: 'lora_target_linear',
    note: "'all-linear', which is the default",
  },
  { option: 'adapter.modules_to_save', names: 'modules_to_save lora_modules_to_save' },
  { option: 'adapter.layers_to_transform', names: 'layers_to_transform peft_layers_to_transform' },
  { option: 'adapter.layers_pattern', names: 'layers_pattern' },
  { option: 'adapter.exclude_modules', names: 'exclude_modules' },
  { option: 'adapter.rank_pattern', names: 'rank_pattern' },
  { option: 'adapter.alpha_pattern', names: 'alpha_pattern' },
  { option: 'adapter.use_rslora', names: 'use_rslora rslora peft_use_rslora' },
  { option: 'adapter.init_lora_weights', names: 'init_lora_weights peft_init_lora_weights' },
  { option: 'adapter.bias', names: 'bias lora_bias_type' },
  { option: 'adapter.loraplus_lr_ratio', names: 'loraplus_lr_ratio' },
  { names: 'task_type', note: 'every run trains a causal language model' },
  { names: 'inference_mode', note: 'glulam train trains, the other commands do not' },

  { option: 'expansion.layer_map', names: 'layer_map layer_replication', note: "beside kind: 'layer_map'" },
  {
    option: 'expansion.layer_map',
    names: 'layer_range layer_ranges',
    note: "beside kind: 'layer_map': a list of [start, end), as [[0, 16], [8, 24]]",
  },
  {
    option: 'expansion',
    names: 'slices merge_method',
    note: "which reads a passthrough file of mergekit's: { kind: 'mergekit', file: 'merge.yml' }",
  },

  {
    option: 'data.train',
    names:
      'dataset datasets dataset_name dataset_path data_path data_file data_files train_file train_files train_data train_dataset training_data train_path',
    note: 'the name of a file, a folder, or a list of these',
  },
  {
    option: 'data.heldOut',
    names:
      'held_out eval_file eval_data eval_dataset validation validation_file validation_data val_file val_data valid_file test_file test_data test_datasets eval_files',
    note: 'the name of a file, or a number of rows set apart from data.train',
  },
  {
    option: 'data.heldOut',
    names: 'val_set_size validation_split test_size eval_split val_split validation_split_percentage',
    note: 'a share of the rows below 1, or a number of rows',
  },
  {
    option: 'data.maxTokens',
    names:
      'max_seq_length max_seq_len max_length sequence_len sequence_length seq_len seq_length cutoff_len block_size model_max_length max_tokens context_length',
    note: 'in tokens',
  },
  { option: 'data.prompt', names: 'prompt prompt_template template prompt_format' },
  { option: 'data.chatTemplate', names: 'chat_template chat_template_path chat_template_jinja' },
  {
    option: 'data.loss',
    names: 'train_on_inputs train_on_prompt train_on_input',
    note: "'all' for true, 'assistant' for false",
  },
  {
    option: 'data.loss',
    names: 'completion_only_loss assistant_only_loss train_on_completions mask_prompt',
    note: "'assistant' for true, 'all' for false",
  },
  { option: 'data.cache', names: 'cache_dir dataset_prepared_path' },
  {
    names: 'packing sample_packing eval_sample_packing',
    note: 'batches are always packed, and no example sees another',
  },
  { names: 'pad_to_sequence_len padding group_by_length', note: 'batches have no padding' },
  { names: 'tokenizer tokenizer_name tokenizer_type tokenizer_config', note: "the base's own tokenizer is used" },
  {
    names: 'dataset_num_proc num_proc preprocessing_num_workers dataloader_num_workers dataset_processes',
    note: 'Glulam chooses the number of threads that tokenize',
  },

  {
    option: 'train',
    names: 'training trainer training_args training_arguments hyperparameters optimizer_config',
  },
  { option: 'train.learningRate', names: 'lr learning_rate base_lr peak_lr' },
  { option: 'train.steps', names: 'steps max_steps num_steps num_train_steps train_steps iters iterations max_iters' },
  { option: 'train.epochs', names: 'epochs epoch num_epochs num_train_epochs max_epochs' },
  {
    option: 'train.batch',
    names:
      'batch batch_size train_batch_size per_device_train_batch_size per_device_batch_size micro_batch_size micro_batch',
    note: 'the number of examples in one batch',
  },
  {
    option: 'train.accumulate',
    names:
      'gradient_accumulation gradient_accumulation_steps grad_accum grad_accumulation_steps accumulation_steps accumulate_grad_batches',
    note: 'the number of batches in one step',
  },
  { option: 'train.schedule', names: 'lr_scheduler lr_scheduler_type scheduler lr_schedule' },
  { option: 'train.warmupSteps', names: 'warmup warmup_steps num_warmup_steps lr_warmup_steps' },
  {
    option: 'train.warmupSteps',
    names: 'warmup_ratio',
    note: 'a number of steps: the ratio times all steps of the run',
  },
  { option: 'train.weightDecay', names: 'weight_decay wd' },
  { option: 'train.beta1', names: 'adam_beta1' },
  { option: 'train.beta2', names: 'adam_beta2' },
  { option: 'train.epsilon', names: 'adam_epsilon adam_eps eps' },
  {
    option: 'train.maxGradientNorm',
    names: 'max_grad_norm max_norm gradient_clipping grad_clip clip_grad gradient_clip_val',
  },
  {
    option: 'train.recompute',
    names: 'gradient_checkpointing activation_checkpointing use_gradient_checkpointing',
    note: 'true or false',
  },
  { names: 'gradient_checkpointing_kwargs', note: 'train.recompute has no further options' },
  { names: 'optim optimizer', note: 'the optimizer is always AdamW; its options are under train' },

  { option: 'evaluate', names: 'evaluation eval evals' },
  {
    option: 'evaluate.every',
    names: 'eval_steps evals_per_epoch eval_every eval_interval eval_freq',
    note: 'a number of steps',
  },
  {
    option: 'evaluate.every',
    names: 'eval_strategy evaluation_strategy do_eval',
    note: 'a number of steps; 0: before and after training only',
  },
  { option: 'evaluate.evaluators', names: 'evaluators tasks metrics eval_tasks', note: "as [{ kind: 'loss' }]" },
  { option: 'evaluate.patience', names: 'patience early_stopping_patience early_stopping' },
  {
    option: 'evaluate.watch',
    names: 'metric_for_best_model early_stopping_metric',
    note: "as { evaluator: 'loss', score: 'loss' }",
  },
  { option: 'evaluate.watch.better', names: 'greater_is_better', note: "'higher' for true, 'lower' for false" },
  {
    names: 'per_device_eval_batch_size eval_batch_size',
    note: 'the held-out loss chooses its batches itself; evaluators that generate have an option batch',
  },
  {
    option: 'checkpoint.every',
    names: 'save_steps save_every save_interval checkpointing_steps saves_per_epoch',
    note: 'a number of steps',
  },
  { option: 'checkpoint.every', names: 'save_strategy', note: 'a number of steps; 0: at the end only' },
  { option: 'checkpoint.keep', names: 'save_total_limit' },
  { names: 'load_best_model_at_end save_only_model', note: 'the best checkpoint by evaluate.watch is always kept' },
  {
    option: 'reporters',
    names: 'report_to logger loggers',
    note: "as [{ kind: 'console' }, { kind: 'tensorboard' }]",
  },
  {
    names: 'logging_steps logging_strategy logging_dir log_every log_interval',
    note: 'events.jsonl in the run folder has every step; reporters show them',
  },
  {
    names: 'wandb wandb_project wandb_run_id wandb_entity mlflow_tracking_uri use_wandb use_mlflow',
    note: "no such reporter is built in; 'tensorboard' is, and a plugin can add others (docs/plugins.md)",
  },

  {
    names:
      'load_in_4bit load_in_8bit load_in_4_bit load_in_8_bit quantization quantization_config quantize qlora bnb_4bit_quant_type bnb_4bit_compute_dtype bnb_4bit_use_double_quant bits',
    note: 'Glulam does not quantize the base; it maps the files, whose memory all virtual layers share',
  },
  {
    names: 'deepspeed fsdp fsdp_config ddp local_rank world_size num_gpus tensor_parallel device_map n_gpu',
    note: 'a run is one process on one machine',
  },
  {
    names:
      'flash_attention flash_attn xformers_attention sdp_attention attn_implementation use_flash_attention_2 torch_compile use_liger_kernel',
    note: 'the engine chooses its own kernels',
  },
  { names: 'trust_remote_code', note: 'Glulam never runs code of a checkpoint' },
  {
    names: 'resume resume_from_checkpoint auto_resume_from_checkpoints',
    note: 'resume with glulam train CONFIG --resume',
  },
  { names: 'push_to_hub hub_model_id hub_token hub_strategy', note: 'push a finished run with glulam push' },
  { names: 'neftune_noise_alpha label_smoothing_factor label_smoothing', note: 'Glulam does not have this' },
  { names: 'rl dpo kto orpo reward_model', note: 'a run trains on the next token; there is no preference training' },
];

/** Case, `_` and `-` tell no two options apart. */
export const plainKey = (key: string): string => key.toLowerCase().replaceAll(/[_-]/g, '');

const byName: ReadonlyMap<string, Alias> = new Map(
  rows.flatMap(({ names, ...alias }) => names.split(' ').map((name): [string, Alias] => [plainKey(name), alias])),
);

/** What an option of another tool is here, if it is known. */
export const aliasOf = (key: string): Alias | undefined => byName.get(plainKey(key));

/** Every name of the table, with what it is here. */
export const allAliases: readonly (Alias & { readonly name: string })[] = rows.flatMap(({ names, ...alias }) =>
  names.split(' ').map((name) => ({ name, ...alias })),
);
