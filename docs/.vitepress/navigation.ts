const page = (text: string, link: string) => ({ text, link });

export const nav = [
  page('Tutorial', '/tutorial'),
  page('Recipes', '/recipes'),
  page('Plugins', '/roles/'),
  page('Reference', '/config'),
];

/** Every page has its place here: a test compares. */
export const sidebar = [
  {
    text: 'Begin',
    items: [
      page('From nothing to an ablation', '/tutorial'),
      page('How virtual layers work', '/virtual-layers'),
      page('How memory is counted', '/memory'),
      page('Recipes', '/recipes'),
    ],
  },
  {
    text: 'Use',
    items: [
      page('Config', '/config'),
      page('Data', '/data'),
      page('Engines', '/engines'),
      page('Ask a run that trains', '/control'),
      page('Evaluation', '/evaluation'),
      page('Ablation', '/ablation'),
      page('Search for layer maps', '/search'),
      page('Generation', '/generation'),
      page('Merge and export', '/merge-and-export'),
      page('Glulam in code', '/library'),
      page('The Hugging Face Hub', '/hub'),
      page('Compatibility', '/compatibility'),
      page('Errors', '/errors'),
    ],
  },
  {
    text: 'Extend',
    items: [
      page('A plugin of your own', '/plugins'),
      page('From contract 1 to 2', '/contract-2'),
      page('The roles of plugins', '/roles/'),
      page('A family', '/roles/family'),
      page('A checkpoint reader', '/roles/checkpoint-reader'),
      page('An expansion', '/roles/expansion'),
      page('An adapter', '/roles/adapter'),
      page('An engine', '/roles/engine'),
      page('An evaluator', '/roles/evaluator'),
      page('A data format', '/roles/data-format'),
      page('A reporter', '/roles/reporter'),
    ],
  },
  {
    text: 'All options',
    collapsed: true,
    items: ['config', 'expansions', 'adapters', 'engines', 'formats', 'evaluators', 'reporters'].map((name) =>
      page(name[0]!.toUpperCase() + name.slice(1), `/reference/${name}`),
    ),
  },
  {
    text: 'Inside',
    items: [page('Architecture', '/architecture'), page('Measured', '/measured'), page('Releases', '/release')],
  },
];
