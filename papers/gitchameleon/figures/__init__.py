"""Tables -> figures. One function per figure of paper.yaml; the same table gives the same pixels."""

from papers.gitchameleon.figures.dataset import fig3_correlation as fig3_correlation
from papers.gitchameleon.figures.dataset import fig4_dataset as fig4_dataset
from papers.gitchameleon.figures.dataset import fig9_libraries as fig9_libraries
from papers.gitchameleon.figures.dataset import fig14_logic_nodes as fig14_logic_nodes
from papers.gitchameleon.figures.results import fig6_gap as fig6_gap
from papers.gitchameleon.figures.results import fig7_categories as fig7_categories
from papers.gitchameleon.figures.results import fig8_errors as fig8_errors
from papers.gitchameleon.figures.results import fig10_years as fig10_years
from papers.gitchameleon.figures.results import fig11_libraries as fig11_libraries
from papers.gitchameleon.figures.results import fig12_rag_by_library as fig12_rag_by_library
from papers.gitchameleon.figures.results import fig13_agreement as fig13_agreement
from papers.gitchameleon.figures.results import fig_protocols as fig_protocols
from papers.gitchameleon.figures.worked import fig1_worked_failure as fig1_worked_failure
