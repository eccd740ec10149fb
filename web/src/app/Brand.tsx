/** The name, the same in every language. */
export function Brand() {
  const [first, second] = ["Co", "Read"];
  return <span className="brand">{first}<i>{second}</i></span>;
}
