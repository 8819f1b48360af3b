// Search and filters of the front page; the address keeps them, so that a filtered view can be sent to somebody.
const field = (name) => document.getElementById(name);
const names = ["search", "topic", "scale", "verdict"];
const claims = JSON.parse(field("claims").textContent);
const looks = JSON.parse(field("looks").textContent);
const cards = [...document.querySelectorAll(".card")];
const MOST_CLAIMS = 40;

const wanted = () => Object.fromEntries(names.map((name) => [name, field(name).value.trim()]));
const includesAll = (text, words) => words.every((word) => text.includes(word));
const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

function claimsFor({ search, scale, verdict }) {
  const words = wordsOf(search);
  return claims.filter((claim) =>
    (!scale || claim.scale === scale) && (!verdict || claim.verdict === verdict) &&
    includesAll(`${claim.paper} ${claim.id} ${claim.statement}`.toLowerCase(), words));
}

function fits(card, query, papersWithClaim) {
  const verdicts = JSON.parse(card.dataset.verdicts);
  const scales = query.scale ? [query.scale] : Object.keys(verdicts);
  return (!query.topic || card.dataset.topics.split("|").includes(query.topic)) &&
    scales.some((scale) => verdicts[scale] && (!query.verdict || verdicts[scale].includes(query.verdict))) &&
    (includesAll(card.dataset.words, wordsOf(query.search)) || papersWithClaim.has(card.dataset.paper));
}

// one line for a claim that has this verdict at several scales; it leads to the first page in the order of `claims`
function grouped(found) {
  const lines = new Map();
  for (const claim of found) {
    const key = `${claim.paper} ${claim.id} ${claim.verdict}`;
    if (lines.has(key)) lines.get(key).scales.push(claim.scale);
    else lines.set(key, { ...claim, scales: [claim.scale] });
  }
  return [...lines.values()];
}

function claimLine(claim) {
  const line = document.createElement("li");
  const badge = Object.assign(document.createElement("span"), { className: `badge ${looks.tones[claim.verdict]}` });
  badge.textContent = `${looks.marks[claim.verdict]} ${claim.verdict}`;
  const link = Object.assign(document.createElement("a"), { href: `${claim.page}#claim-${claim.id}`, textContent: claim.statement });
  const where = Object.assign(document.createElement("span"), { className: "muted", textContent: `${claim.paper} · ${claim.scales.join(", ")}` });
  line.append(badge, link, where);
  return line;
}

function apply() {
  const query = wanted();
  const found = claimsFor(query);
  const withClaim = new Set(found.map((claim) => claim.paper));
  const shown = new Set();
  for (const card of cards) {
    card.hidden = !fits(card, query, withClaim);
    if (!card.hidden) shown.add(card.dataset.paper);
  }
  for (const row of document.querySelectorAll(".matrix tbody tr")) row.hidden = "bare" in row.dataset ? names.some((name) => query[name]) : !shown.has(row.dataset.paper);
  for (const cell of document.querySelectorAll(".matrix td")) cell.classList.toggle("dim", !!query.scale && cell.dataset.scale !== query.scale);
  const listed = (query.search.length > 2 || query.verdict) ? grouped(found.filter((claim) => shown.has(claim.paper))) : [];
  field("matches").hidden = !listed.length;
  field("match-list").replaceChildren(...listed.slice(0, MOST_CLAIMS).map(claimLine));
  field("matches-title").textContent = listed.length > MOST_CLAIMS ? `Claims (${MOST_CLAIMS} of ${listed.length})` : `Claims (${listed.length})`;
  field("none").hidden = shown.size > 0;
  field("count").textContent = names.some((name) => query[name]) ? `${shown.size} of ${cards.length} papers` : "";
  const kept = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  history.replaceState(null, "", kept ? `#${kept}` : location.pathname);
}

for (const [name, value] of new URLSearchParams(location.hash.slice(1))) if (names.includes(name)) field(name).value = value;
const form = field("filters");
form.hidden = false;
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(apply));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement.tagName !== "INPUT") { event.preventDefault(); field("search").focus(); }
});
if (location.hash.includes("=")) apply();
