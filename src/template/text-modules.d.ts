// Templates are embedded as text.
declare module "*.hbs" {
  const text: string;
  export default text;
}
