// What the theme leaves out for those who do not see or point: levels of headings, names of landmarks, headers of tables
// that say nothing, and blocks that scroll and that the keyboard has to reach.
document.addEventListener("DOMContentLoaded", () => {
  const all = (what) => document.querySelectorAll(what);
  all("p.caption[role=heading]").forEach((one) => one.setAttribute("aria-level", "2"));
  all("aside.sidebar-drawer").forEach((one) => one.setAttribute("aria-label", "Pages"));
  all("aside.toc-drawer").forEach((one) => one.setAttribute("aria-label", "On this page"));
  all(".content-icon-container").forEach((one) => {
    one.setAttribute("role", "region");
    one.setAttribute("aria-label", "This page");
  });
  all("thead tr").forEach((row) => {
    const empty = [...row.cells].filter((cell) => !cell.textContent.trim());
    if (empty.length === row.cells.length) row.parentElement.remove();
    else empty.forEach((cell) => {
      const other = document.createElement("td");
      other.className = cell.className;
      cell.replaceWith(other);
    });
  });
  all("pre, .table-wrapper").forEach((one) => (one.tabIndex = 0));
  all(".table-wrapper").forEach((one, i) => {
    one.setAttribute("role", "region");
    one.setAttribute("aria-label", `Table ${i + 1}`);
  });
});
