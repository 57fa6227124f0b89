# region begin
export PATH="$PWD/node_modules/.bin:$PATH"
mkdir first-run && cd first-run
cp -r ../examples/models/tiny-mistral-gsm8k base
cp ../examples/data/word-problems.train.jsonl train.jsonl
cp ../examples/data/word-problems.heldout.jsonl heldout.jsonl
head -2 train.jsonl
# endregion begin
# region config
cp ../docs/snippets/tutorial/glulam.config.ts .
# endregion config
# region data
glulam data glulam.config.ts
# endregion data
# region plan
glulam plan glulam.config.ts
# endregion plan
# region train
glulam train glulam.config.ts
# endregion train
# region resume
glulam train runs/first --resume
# endregion resume
# region eval
glulam eval runs/first
glulam eval runs/first --no-adapter
glulam eval runs/first --unexpanded
# endregion eval
# region task
cp ../docs/snippets/tutorial/quiz.* .
glulam eval runs/first --evaluate.evaluators '[{"kind":"task","file":"quiz.yaml"}]' --samples samples
# endregion task
# region generate
glulam generate runs/first --max-tokens 80 \
  --question "Mia has 3 boxes with 4 pencils each. She gives 5 pencils away. How many pencils are left?"
# endregion generate
# region merge
glulam merge runs/first --out merged
glulam plan glulam.config.ts --base merged --expansion '{"kind":"layer_map","layer_map":[[0,12]]}'
# endregion merge
# region export
glulam export runs/first --gguf first.gguf --type q8_0
# endregion export
# region ablate
glulam ablate glulam.config.ts --ablation.seeds '[0,1]' --train.steps 20 --out runs/ablation
# endregion ablate
